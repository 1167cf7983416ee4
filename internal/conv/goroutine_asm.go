//go:build amd64 || arm64

package conv

// Goroutine identifies the calling goroutine: two calls return the same number
// exactly when one goroutine made both, as long as that goroutine lives. A loop
// uses it to tell whether a call comes from itself.
func Goroutine() uintptr { return goroutine() }

// goroutine returns the runtime's g register, which stays with a goroutine for
// its life.
func goroutine() uintptr
