package broker

// Gap says that messages of other nodes were lost, or may have been.
type Gap struct {
	Reason GapReason
	// Lost is how many, where that is known; -1: unknown, perhaps none.
	Lost int64
}

// GapReason is why messages were lost.
type GapReason uint8

const (
	// Reconnected: the connection to the broker was away for a while.
	Reconnected GapReason = iota + 1
	// Trimmed: the broker's log dropped messages before they were read.
	Trimmed
	// Restarted: the broker came back without what it had, or with less.
	Restarted
	// Overflow: messages came faster than this node could take them.
	Overflow
)

var gapReasons = [...]string{Reconnected: "reconnected", Trimmed: "trimmed", Restarted: "restarted", Overflow: "overflow"}

// String is the reason in one word, for logs, metrics and protocols.
func (r GapReason) String() string {
	if int(r) < len(gapReasons) && gapReasons[r] != "" {
		return gapReasons[r]
	}
	return "unknown"
}
