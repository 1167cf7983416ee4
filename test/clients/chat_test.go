package clients

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"testing"
)

// What is said in one window of the start page's chat appears in the other, and a
// server that asks for tokens gets one.
func TestChatPage(t *testing.T) {
	const secret = "0123456789abcdef0123456789abcdef"
	open, guarded := serve(t), serve(t, "--jwt-secret", secret)
	token := sign(`{"sub":"ann","allow":{"subscribe":["chat"],"publish":["chat"]}}`, secret)
	startNode(t, true, "js/chat.mjs", "http://"+open.Addr, "http://"+guarded.Addr, token).finish(t)
}

// sign makes a token (RFC 7515, HS256) of claims.
func sign(claims, secret string) string {
	part := base64.RawURLEncoding.EncodeToString
	signed := part([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + part([]byte(claims))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(signed))
	return signed + "." + part(mac.Sum(nil))
}
