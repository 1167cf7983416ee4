package vectors

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/engine/engineio"
	"github.com/fe4bcecb/wsd/engine/socketio"
)

// translate gives the options of Node's server to wsd's.
func translate(t *testing.T, s setup) (opts socketio.Options, prefix string) {
	t.Helper()
	var o nodeOptions
	if s.options != nil {
		d := json.NewDecoder(strings.NewReader(string(s.options)))
		d.DisallowUnknownFields()
		if err := d.Decode(&o); err != nil {
			t.Fatal("transcript: serverOptions:", err)
		}
	}
	prefix = "/socket.io/"
	if o.AddTrailingSlash != nil && !*o.AddTrailingSlash {
		prefix = "/socket.io"
	}
	e := &opts.Engine
	e.PingInterval, e.PingTimeout = o.PingInterval.duration(), o.PingTimeout.duration()
	e.UpgradeTimeout = o.UpgradeTimeout.duration()
	e.MaxPayload = o.MaxHTTPBufferSize
	e.Transports = o.Transports
	e.DisableUpgrades = o.AllowUpgrades != nil && !*o.AllowUpgrades
	e.AllowEIO3 = o.AllowEIO3
	if o.PerMessageDeflate {
		e.Compression = engine.CompressionDedicated
	}
	if o.Cookie != nil {
		e.Cookie = o.Cookie.cookie(t)
	}
	if o.CORS != nil {
		e.CORS = o.CORS.cors(t)
	}
	if s.refuse != nil {
		e.AllowRequest = func(*engineio.Request) error { return engineio.Forbidden(s.refuse.Message) }
	}
	opts.ConnectTimeout = o.ConnectTimeout.duration()
	if r := o.ConnectionStateRecovery; r != nil {
		opts.Recovery = &socketio.RecoveryOptions{
			MaxDisconnection: r.MaxDisconnectionDuration.duration(),
			RunMiddlewares:   r.SkipMiddlewares != nil && !*r.SkipMiddlewares,
		}
	}
	opts.MaxAttachments = s.attachments
	opts.CleanupEmptyNamespaces = o.CleanupEmptyChildNamespaces
	if s.msgpack {
		opts.Parser = socketio.Msgpack
	}
	return opts, prefix
}

// nodeOptions are the options of Node's server that the transcripts use.
type nodeOptions struct {
	PingInterval, PingTimeout, UpgradeTimeout, ConnectTimeout milliseconds

	MaxHTTPBufferSize       int
	Transports              []string
	AllowUpgrades           *bool
	AllowEIO3               bool
	AddTrailingSlash        *bool
	PerMessageDeflate       bool
	Cookie                  *cookieOptions
	CORS                    *corsOptions
	ConnectionStateRecovery *struct {
		MaxDisconnectionDuration milliseconds
		SkipMiddlewares          *bool
	}
	CleanupEmptyChildNamespaces bool
}

type milliseconds int

func (ms milliseconds) duration() time.Duration { return time.Duration(ms) * time.Millisecond }

// cookieOptions is true or an object.
type cookieOptions struct{ raw json.RawMessage }

func (c *cookieOptions) UnmarshalJSON(b []byte) error {
	c.raw = append(c.raw, b...)
	return nil
}

func (c *cookieOptions) cookie(t *testing.T) *http.Cookie {
	t.Helper()
	o := struct {
		Name, Path, SameSite string
		HTTPOnly, Secure     bool
		MaxAge               int
	}{Name: "io", Path: "/", SameSite: "lax", HTTPOnly: true}
	if string(c.raw) != "true" {
		if err := json.Unmarshal(c.raw, &o); err != nil {
			t.Fatal("transcript: cookie:", err)
		}
	}
	return &http.Cookie{
		Name: o.Name, Path: o.Path, HttpOnly: o.HTTPOnly, Secure: o.Secure, MaxAge: o.MaxAge,
		SameSite: map[string]http.SameSite{"lax": http.SameSiteLaxMode, "none": http.SameSiteNoneMode}[o.SameSite],
	}
}

// corsOptions are those of the npm package cors.
type corsOptions struct {
	Origin      any // string, list or true
	Credentials bool
	Methods     []string
}

func (c *corsOptions) cors(t *testing.T) *engineio.CORS {
	t.Helper()
	o := &engineio.CORS{Credentials: c.Credentials, Methods: c.Methods}
	switch origin := c.Origin.(type) {
	case string:
		o.Origins = []string{origin}
	case []any:
		for _, x := range origin {
			o.Origins = append(o.Origins, fmt.Sprint(x))
		}
	case bool:
		o.AllowOrigin = func(string) bool { return origin }
	default:
		t.Fatalf("transcript: cors origin %v", origin)
	}
	return o
}
