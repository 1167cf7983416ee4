package cluster

// wireTypes are the kinds as socket.io-adapter's ClusterAdapter numbers them.
var wireTypes = [...]uint8{
	InitialHeartbeat:       1,
	Heartbeat:              2,
	Broadcast:              3,
	SocketsJoin:            4,
	SocketsLeave:           5,
	DisconnectSockets:      6,
	FetchSockets:           7,
	FetchSocketsResponse:   8,
	ServerSideEmit:         9,
	ServerSideEmitResponse: 10,
	BroadcastClientCount:   11,
	BroadcastAck:           12,
	AdapterClose:           13,
}

// wireKinds is the reverse of wireTypes.
var wireKinds = func() (kinds [len(wireTypes)]Kind) {
	for k, n := range wireTypes {
		kinds[n] = Kind(k)
	}
	return kinds
}()

// kindOf returns the kind of a number on the wire.
func kindOf(f float64) (k Kind, ok bool) {
	n := int(min(max(f, 0), 255))
	if float64(n) != f || n == 0 || n >= len(wireKinds) {
		return 0, false
	}
	return wireKinds[n], true
}

// heartbeat says whether the kind is one that only the streams adapter up to 0.2
// sends.
func (k Kind) heartbeat() bool {
	return k == InitialHeartbeat || k == Heartbeat || k == AdapterClose
}

// The types of the classic adapter's requests and responses.
const (
	classicSockets    = 0 // up to 7
	classicRooms      = 1
	classicJoin       = 2
	classicLeave      = 3
	classicDisconnect = 4
	classicFetch      = 5
	classicEvent      = 6
	classicBroadcast  = 7
	classicCount      = 8
	classicAck        = 9
)

// eventType is the only type of packet that is broadcast: a number, of which the
// character is sent to clients.
const eventType = 2
