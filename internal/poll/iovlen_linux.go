package poll

// iovlen is a count as this architecture's msghdr has it.
func iovlen(n int) uint64 { return uint64(n) }
