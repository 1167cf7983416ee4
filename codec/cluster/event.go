package cluster

import (
	"bytes"

	"github.com/fe4bcecb/wsd/codec/jsontext"
	"github.com/fe4bcecb/wsd/internal/conv"
)

// checkEvent looks at the name of an event: the first element of a list, a
// string or a number. That the rest is JSON is not checked.
func checkEvent(list []byte, reserved func(string) bool) error {
	i := jsontext.SkipSpace(list, jsontext.SkipSpace(list, 0)+1)
	if i >= len(list) {
		return errEvent
	}
	if jsontext.IsNumber(list[i]) {
		return nil
	}
	if list[i] != '"' {
		return errEvent
	}
	end := jsontext.SkipString(list, i+1)
	if end < 0 {
		return errPayload
	}
	name := list[i+1 : end-1]
	if bytes.IndexByte(name, '\\') >= 0 {
		if len(name) > longestReserved*len(`\u0000`) {
			return nil
		}
		var room [longestReserved * len(`\u0000`)]byte
		name = jsontext.Unquote(room[:0], name)
	}
	if len(name) <= longestReserved && reserved(conv.String(name)) {
		return errEvent
	}
	return nil
}

const longestReserved = len("removeListener")

// harmsServer says whether an event to servers means something to Node itself:
// the first three start what a connection starts, and "error" is thrown where
// nobody listens to it.
func harmsServer(event string) bool { return reservedServerSide(event) || event == "error" }

// reservedServerSide says whether Node does not let anybody send the event.
func reservedServerSide(event string) bool {
	switch event {
	case "connect", "connection", "new_namespace":
		return true
	}
	return false
}
