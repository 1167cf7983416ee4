package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"unicode/utf8"

	"github.com/fe4bcecb/wsd/cmd/wsd/api"
)

// maxPublishInput is how much of standard input is read, in bytes: more than any
// server takes by default.
const maxPublishInput = 64 << 20

// publishCmd is `wsd publish`.
type publishCmd struct {
	Topic  string `arg:"" help:"Topic to publish to."`
	Data   string `arg:"" optional:"" default:"-" help:"What to publish; - or nothing: standard input."`
	Binary bool   `help:"Publish a binary message."`
	ID     string `name:"id" placeholder:"TEXT" help:"Idempotency key: published once, however often this is repeated."`
	JSON   bool   `name:"json" help:"Print the answer as JSON."`
	adminClientFlags
}

// Run publishes one message.
func (c *publishCmd) Run(p *process) error {
	data := []byte(c.Data)
	if c.Data == "-" {
		var err error
		if data, err = io.ReadAll(io.LimitReader(os.Stdin, maxPublishInput+1)); err != nil {
			return fmt.Errorf("standard input: %w", err)
		}
		if len(data) > maxPublishInput {
			return fmt.Errorf("standard input has more than %d bytes", maxPublishInput)
		}
	}
	req := api.PublishRequest{Message: api.Message{Topic: c.Topic}, ID: c.ID}
	switch {
	case c.Binary:
		text := base64.StdEncoding.EncodeToString(data)
		req.Base64 = &text
	case !utf8.Valid(data):
		return usageError(errors.New("what is to be published is not UTF-8: want --binary"))
	default:
		text, err := json.Marshal(string(data))
		if err != nil {
			return err
		}
		req.Data = text
	}
	var out api.Published
	return c.ask(p, http.MethodPost, "/v1/publish", req, &out, c.JSON, func(w io.Writer) {
		fmt.Fprintf(w, "published to %d subscribers on this server", out.Local)
		if out.Offset != "" {
			fmt.Fprintf(w, ", offset %s", out.Offset)
		}
		fmt.Fprintln(w)
	})
}

// ask sends a request and prints the answer, as JSON or by print.
func (f *adminClientFlags) ask(p *process, method, path string, body, into any, asJSON bool, print func(io.Writer)) error {
	client, err := f.client()
	if err != nil {
		return err
	}
	defer client.close()
	if err := client.do(p.ctx, method, path, body, into); err != nil {
		return err
	}
	if !asJSON {
		print(p.stdout)
		return nil
	}
	text := json.NewEncoder(p.stdout)
	text.SetIndent("", "  ")
	return text.Encode(into)
}
