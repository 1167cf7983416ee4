package cluster

import "slices"

// Wants reports whether a session that returns is to be given a message that was
// sent while it was away: a Broadcast for its rooms that is not volatile and asks
// for no answer, neither of nodes nor of the client.
func (s *Session) Wants(m *Message) bool {
	if m.Kind != Broadcast || m.RequestID != "" || m.Packet.HasID || m.Options.Flags.Volatile {
		return false
	}
	in := func(room string) bool { return slices.Contains(s.Rooms, room) }
	if len(m.Options.Rooms) > 0 && !slices.ContainsFunc(m.Options.Rooms, in) {
		return false
	}
	return !slices.ContainsFunc(m.Options.Except, in)
}
