//go:build !amd64 && !arm64

package conv

// Goroutine identifies the calling goroutine: here by its number, which takes a
// moment.
func Goroutine() uintptr { return uintptr(GoroutineNumber()) }
