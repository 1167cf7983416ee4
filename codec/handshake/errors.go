package handshake

// Error is why a handshake failed. Status is the HTTP status of the answer,
// Section names the rule's place, and Text says what was wrong in words that
// may be sent as the answer's body.
type Error struct {
	Status  int
	Section string
	Text    string
}

// Error is "handshake: " and the text, with the section in parentheses.
func (e *Error) Error() string {
	return "handshake: " + e.Text + " (" + e.Section + ")"
}

// Errors of [Request.Parse], [Request.SetLine] and [Request.Add].
var (
	ErrHead          = &Error{400, "RFC 9112 2.1", "malformed request head"}
	ErrLineEnd       = &Error{400, "RFC 9112 2.2", "line does not end in CRLF"}
	ErrRequestLine   = &Error{400, "RFC 9112 3", "malformed request line"}
	ErrTarget        = &Error{400, "RFC 9112 3.2", "malformed request target"}
	ErrFieldName     = &Error{400, "RFC 9112 5.1", "malformed field name"}
	ErrFieldValue    = &Error{400, "RFC 9110 5.5", "forbidden byte in a field value"}
	ErrFolded        = &Error{400, "RFC 9112 5.2", "folded field line"}
	ErrTooManyFields = &Error{431, "RFC 6585 5", "too many header fields"}
)

// Errors of [Request.Check].
var (
	ErrMethod      = &Error{405, "RFC 6455 4.2.1", "method is not GET"}
	ErrOldHTTP     = &Error{426, "RFC 6455 4.2.1", "HTTP/1.1 required"}
	ErrHTTPVersion = &Error{505, "RFC 9110 15.6.6", "HTTP version not supported"}
	ErrHost        = &Error{400, "RFC 9112 3.2", "one valid Host field required"}
	ErrBody        = &Error{400, "RFC 9112 6", "handshake request with a body"}
	ErrUpgrade     = &Error{426, "RFC 6455 4.2.1", "Upgrade field does not name websocket"}
	ErrConnection  = &Error{400, "RFC 6455 4.2.1", "Connection field does not name Upgrade"}
	ErrVersions    = &Error{400, "RFC 6455 11.3.5", "several Sec-WebSocket-Version fields"}
	ErrVersion     = &Error{426, "RFC 6455 4.2.2", "Sec-WebSocket-Version 13 required"}
	ErrKey         = &Error{400, "RFC 6455 4.2.1", "one Sec-WebSocket-Key of 16 bytes in base64 required"}
)

// Errors of [AppendResponse]: the server's own mistakes.
var (
	ErrResponseField    = &Error{500, "RFC 9110 5.5", "response field with a forbidden byte"}
	ErrResponseReserved = &Error{500, "RFC 6455 4.2.2", "response field that the handshake writes itself"}
	ErrSubprotocol      = &Error{500, "RFC 6455 4.2.2", "subprotocol is not a token"}
)
