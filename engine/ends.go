package engine

// Initiator is who ended a connection.
type Initiator uint8

// The initiators.
const (
	ByClient  Initiator = iota // its Close frame
	ByServer                   // ours
	ByNetwork                  // neither's: end of stream, reset
	initiators
)

var initiatorNames = [initiators]string{"client", "server", "network"}

func (i Initiator) String() string { return initiatorNames[i] }

// initiator is who is behind a cause.
func (c CloseCause) initiator() Initiator {
	switch c {
	case CausePeer:
		return ByClient
	case CauseNetwork:
		return ByNetwork
	}
	return ByServer
}

// EndCodes name the groups of close codes by which LoopStats.Ended counts: those
// of RFC 6455 7.4.1, the application's own, and all else.
var EndCodes = [endCodes]string{
	"1000", "1001", "1002", "1003", "1005", "1006", "1007", "1008", "1009", "1010", "1011", "1012", "1013", "4xxx", "other",
}

const (
	endCodes = 15
	endOwn   = endCodes - 2
	endOther = endCodes - 1
)

// endCode is the place of a code in EndCodes.
func endCode(code StatusCode) int {
	switch {
	case code >= 4000 && code < 5000:
		return endOwn
	case code >= 1000 && code <= 1003:
		return int(code - 1000)
	case code >= 1005 && code <= 1013:
		return int(code - 1001)
	}
	return endOther
}

// Ends counts ended connections by who ended them, and by the place of their close
// code in EndCodes.
type Ends [initiators][endCodes]uint64
