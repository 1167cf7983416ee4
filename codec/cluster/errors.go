package cluster

import "errors"

var (
	// ErrMessage is a message that lacks what its kind needs, or has what would
	// harm its receivers; see [Message.Check]. From the functions that read, it is
	// to be counted: somebody sends what nobody can use.
	ErrMessage = errors.New("cluster: incomplete message")
	// ErrIgnored is a message that is for others, or of a kind that this dialect
	// gives no meaning: it is to be dropped without a word, as Node does.
	ErrIgnored = errors.New("cluster: not for this node")
	// ErrID is no id of an entry.
	ErrID = errors.New("cluster: malformed id of an entry")
)

// malformed is an [ErrMessage] with the reason.
type malformed string

// Error is the reason, for logs.
func (e malformed) Error() string { return "cluster: " + string(e) }

// Is makes it an [ErrMessage].
func (malformed) Is(target error) bool { return target == ErrMessage }

const (
	errSyntax   malformed = "neither JSON nor MessagePack"
	errShape    malformed = "not an object"
	errType     malformed = "no type"
	errPacket   malformed = "no packet"
	errOptions  malformed = "no options"
	errName     malformed = "a name that is neither text nor a number"
	errText     malformed = "text that is not UTF-8"
	errEvent    malformed = "an event without a name, or with a reserved one"
	errPayload  malformed = "malformed payload"
	errRequest  malformed = "malformed request id"
	errSockets  malformed = "malformed sockets"
	errCount    malformed = "malformed count"
	errKind     malformed = "a kind that this dialect does not know"
	errEncoding malformed = "malformed base64"
	errSession  malformed = "malformed session"
)
