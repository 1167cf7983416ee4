package cluster

import (
	"bytes"

	"github.com/fe4bcecb/wsd/codec/jsontext"
	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/internal/conv"
)

// audience is whom an event is for: names are reserved for each.
type audience uint8

const (
	toClients     audience = iota
	toServers              // read
	sentToServers          // written
)

// checkEvent looks at the name of an event: the first element of a list, a
// string or a number. That the rest is JSON is not checked.
func checkEvent(list []byte, to audience) error {
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
		const longest = longestReserved * len(`\u0000`)
		if len(name) > longest {
			return nil
		}
		var room [longest]byte
		name = jsontext.Unquote(room[:0], name)
	}
	if len(name) <= longestReserved && to.reserves(conv.String(name)) {
		return errEvent
	}
	return nil
}

const longestReserved = len("removeListener")

// reserves says whether an event must not have this name. To clients it is one
// that makes them close their connections. To servers it is one that starts what
// a new connection or namespace starts; what is sent is not "error" either, which
// Node throws where nobody listens to it.
func (a audience) reserves(event string) bool {
	if a == toClients {
		return sio.IsReserved(event)
	}
	switch event {
	case "connect", "connection", "new_namespace":
		return true
	}
	return a == sentToServers && event == "error"
}
