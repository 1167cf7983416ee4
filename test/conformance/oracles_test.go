package conformance

import (
	"errors"
	"io"
	"net"
	"net/http"
	"unicode/utf8"

	"github.com/gorilla/websocket"
	"github.com/lxzan/gws"
)

// gwsHandler echoes with gws on every profile's path.
func gwsHandler() http.Handler {
	mux := http.NewServeMux()
	for _, p := range profiles {
		u := gws.NewUpgrader(gwsEcho{}, &gws.ServerOption{
			ReadMaxPayloadSize: p.limit,
			CheckUtf8Enabled:   true,
			Logger:             quiet{},
			PermessageDeflate: gws.PermessageDeflate{
				Enabled:               p.deflate,
				ServerContextTakeover: p.dedicated,
				ClientContextTakeover: p.dedicated,
				ServerMaxWindowBits:   15,
				ClientMaxWindowBits:   15,
				Threshold:             64,
			},
		})
		mux.HandleFunc(p.path, func(w http.ResponseWriter, r *http.Request) {
			if c, err := u.Upgrade(w, r); err == nil {
				c.ReadLoop()
			}
		})
	}
	return mux
}

type quiet struct{}

func (quiet) Error(...any) {}

type gwsEcho struct{ gws.BuiltinEventHandler }

func (gwsEcho) OnPing(c *gws.Conn, payload []byte) { c.WritePong(payload) }

func (gwsEcho) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	c.WriteMessage(m.Opcode, m.Bytes())
}

// gorillaHandler echoes with gorilla/websocket. The library leaves UTF-8 and the
// inflated size to its user, so they are checked here.
func gorillaHandler() http.Handler {
	mux := http.NewServeMux()
	for _, p := range profiles {
		u := websocket.Upgrader{
			EnableCompression: p.deflate,
			CheckOrigin:       func(*http.Request) bool { return true },
		}
		mux.HandleFunc(p.path, func(w http.ResponseWriter, r *http.Request) {
			c, err := u.Upgrade(w, r, nil)
			if err != nil {
				return
			}
			defer c.Close()
			c.SetReadLimit(int64(p.limit))
			if code := gorillaEcho(c, p.limit); code != 0 {
				c.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""))
			}
		})
	}
	return mux
}

// gorillaEcho returns the code of the Close frame that the library has not sent.
func gorillaEcho(c *websocket.Conn, limit int) int {
	for {
		op, r, err := c.NextReader()
		if err != nil {
			return 0
		}
		data, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
		var closed *websocket.CloseError
		var network net.Error
		switch {
		case len(data) > limit:
			return websocket.CloseMessageTooBig
		case errors.As(err, &closed), errors.As(err, &network), errors.Is(err, websocket.ErrReadLimit):
			return 0
		case err != nil:
			return websocket.CloseInvalidFramePayloadData
		case op == websocket.TextMessage && !utf8.Valid(data):
			return websocket.CloseInvalidFramePayloadData
		}
		if c.WriteMessage(op, data) != nil {
			return 0
		}
	}
}
