//go:build !linux || !(amd64 || arm64 || loong64)

package engine

import "math"

// reserve is not used on this system: accepting pauses when descriptors run out.
type reserve struct{}

func (*reserve) hold() bool    { return true }
func (*reserve) release() bool { return false }

func descriptorLimit() int64 { return math.MaxInt64 }
