package sio

// Type is the type of a packet.
type Type byte

// The types. A BinaryEvent is an Event with attachments, and a BinaryAck an
// Ack with them: they exist on the wire of the JSON parser only, and no
// [Packet] or [Header] has them.
const (
	Connect Type = iota
	Disconnect
	Event
	Ack
	ConnectError
	BinaryEvent
	BinaryAck
)

var typeNames = [...]string{
	"CONNECT", "DISCONNECT", "EVENT", "ACK", "CONNECT_ERROR", "BINARY_EVENT", "BINARY_ACK",
}

// String is the name of the type in the protocol's text.
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return "unknown"
}

// MaxAttachments is how many attachments a packet may have: the default of
// [Limits], and what a stock client accepts. The encoders do not hold it.
const MaxAttachments = 10

// rootNamespace is the namespace that is not written.
const rootNamespace = "/"

// Header is what a packet says besides its payload. An empty Namespace is "/".
type Header struct {
	Type      Type
	Namespace string
	ID        uint64 // of an Event that asks for an Ack, and of the Ack
	HasID     bool   // 0 is an id as good as any
}

// Packet is one packet that arrived, complete with its attachments.
type Packet struct {
	Type      Type
	Namespace string
	ID        uint64
	HasID     bool
	// Data is the payload: of an Event or Ack an array, of Connect an object,
	// of ConnectError an object or a string; nil if there is none. Binary data
	// is in it as placeholders, objects like {"_placeholder":true,"num":0}, if
	// there are Attachments; without them such an object is an object.
	//
	// It aliases what the decoder was given, unless attachments were awaited:
	// then it has its own memory.
	Data []byte
	// Attachments have their own memory, and nobody else writes to it.
	Attachments [][]byte
}

// Args appends the elements of Data to dst, if it is an array: of an Event its
// name and its arguments. They are valid as long as Data is. Hot path: per event.
func (p *Packet) Args(dst []Value) []Value {
	return appendElements(dst, p.Data, p.Attachments)
}

// IsReserved says whether no event may have this name, because it means
// something to one of the two sides.
func IsReserved(event string) bool {
	switch event {
	case "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener":
		return true
	}
	return false
}
