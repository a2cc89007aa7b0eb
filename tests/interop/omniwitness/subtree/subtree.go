// Package proof is what the release 0.0.2 of transparency-dev/merkle lacks of the function that the
// witness uses for the optional request sign-subtree. Nothing here makes that request; whatever it
// is asked, the answer is no.
package proof

import (
	"errors"

	"github.com/transparency-dev/merkle"
)

// VerifySubtreeConsistency refuses.
func VerifySubtreeConsistency(_ merkle.LogHasher, _, _, _ uint64, _ [][]byte, _, _ []byte) error {
	return errors.New("subtrees are not supported in this build")
}
