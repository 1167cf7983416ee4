package cluster_test

import (
	"slices"
	"testing"

	"github.com/fe4bcecb/wsd/codec/cluster"
)

// TestStreamName has what Node's servers were seen to write to: those with a
// negative index they do not read.
func TestStreamName(t *testing.T) {
	for _, tt := range []struct {
		count      int
		namespace  string
		here, node string
	}{
		{1, "/notifications", "s", "s"},
		{0, "/", "s", "s"},
		{4, "/", "s-3", "s-3"},
		{4, "/admin", "s-0", "s-0"},
		{4, "/chat", "s-3", "s-3"},
		{4, "/notifications", "s-1", "s--3"},
		{4, "/tenant-1", "s-1", "s--3"},
	} {
		here, node := cluster.StreamName("s", tt.count, tt.namespace), cluster.NodeStreamName("s", tt.count, tt.namespace)
		if here != tt.here || node != tt.node {
			t.Errorf("%s of %d: %q and %q, want %q and %q", tt.namespace, tt.count, here, node, tt.here, tt.node)
		}
		all := cluster.StreamNames("s", tt.count)
		if !slices.Contains(all, here) || !slices.Contains(all, node) {
			t.Errorf("%q is not among %q", []string{here, node}, all)
		}
	}
}
