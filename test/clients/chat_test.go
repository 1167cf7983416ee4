package clients

import "testing"

// What is said in one window of the start page's chat appears in the other.
func TestChatPage(t *testing.T) {
	p := serve(t)
	startNode(t, true, "js/chat.mjs", "http://"+p.Addr).finish(t)
}
