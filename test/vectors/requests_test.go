package vectors

import (
	"fmt"
	"strings"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

// sessionRequest is a request within the session that handshake opened; a POST
// has the body. The session's id is the transcript's.
func sessionRequest(method string, handshake step, body string) string {
	m := idPattern.FindStringSubmatch(handshake.Response)
	get := strings.Replace(handshake.Request, "transport=polling", "transport=polling&sid="+m[1], 1)
	if method == "GET" {
		return get
	}
	return postRequest(get, body)
}

// postRequest is the POST that goes with the GET of a session.
func postRequest(get, body string) string {
	post, _ := strings.CutPrefix(get, "GET")
	post, _ = strings.CutSuffix(post, "\r\n\r\n")
	return fmt.Sprintf("POST%s\r\nContent-Type: text/plain;charset=UTF-8\r\nContent-Length: %d\r\n\r\n%s", post, len(body), body)
}

func (r *replay) awaitSessions(n int) {
	r.Helper()
	testkit.Eventually(r, func() bool { return r.srv.sessions(r.T) == n }, timeout)
}
