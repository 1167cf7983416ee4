package conformance

import (
	"crypto/tls"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/test/rawws"
)

// long also runs wsd over TLS, and proves that no exception has outlived its
// reason.
var long = os.Getenv("WSD_LONG") != ""

// profile is how one path of a server echoes.
type profile struct {
	path      string
	limit     int // bytes of a message, also after inflation
	deflate   bool
	dedicated bool // context takeover, where the client agrees
}

const (
	bigLimit   = 1 << 20
	smallLimit = 16 << 10
)

const (
	plain          = "/plain"
	plainSmall     = "/plain-small"
	shared         = "/shared"
	sharedSmall    = "/shared-small"
	dedicated      = "/dedicated"
	dedicatedSmall = "/dedicated-small"
)

var profiles = []profile{
	{path: plain, limit: bigLimit},
	{path: plainSmall, limit: smallLimit},
	{path: shared, limit: bigLimit, deflate: true},
	{path: sharedSmall, limit: smallLimit, deflate: true},
	{path: dedicated, limit: bigLimit, deflate: true, dedicated: true},
	{path: dedicatedSmall, limit: smallLimit, deflate: true, dedicated: true},
}

// offering is each path with the extensions that a client offers there.
var offering = map[string]string{
	plain: "", plainSmall: "",
	shared: pmd, sharedSmall: pmd, dedicated: pmd, dedicatedSmall: pmd,
}

const pmd = "permessage-deflate"

type server struct {
	name string
	addr string
	tls  bool
}

// open connects a client to one of the server's paths.
func (s server) open(path, offer string) (*rawws.Conn, error) {
	if !s.tls {
		return rawws.Open(s.addr, path, offer)
	}
	// The certificate is nobody's concern here.
	nc, err := tls.Dial("tcp", s.addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return nil, err
	}
	c := rawws.New(nc)
	if err := c.Upgrade(path, offer); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// isWsd says whether no exception may be made for s.
func (s server) isWsd() bool { return strings.HasPrefix(s.name, "wsd") }

// servers starts everything that the suite runs against.
func servers(t *testing.T) []server {
	return append(wsdServers(t),
		server{name: "gws", addr: serveHTTP(t, gwsHandler())},
		server{name: "gorilla", addr: serveHTTP(t, gorillaHandler())},
	)
}

func listen(t *testing.T) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// serveHTTP serves h until the test ends and returns its address.
func serveHTTP(t *testing.T, h http.Handler) string {
	l := listen(t)
	s := &http.Server{Handler: h}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Serve(l)
	}()
	t.Cleanup(func() {
		s.Close()
		<-done
	})
	return l.Addr().String()
}
