package redis

import (
	"os"
	"strings"
	"testing"
)

// TestACLLineIsDocumented compares the line that docs/redis.md gives with the one
// that the suites run under.
func TestACLLineIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/redis.md")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(string(page)), " ")
	if !strings.Contains(text, "ACL SETUSER wsd on >password "+aclRules) {
		t.Errorf("docs/redis.md does not have %q", aclRules)
	}
}
