package topk_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/fe4bcecb/wsd/internal/topk"
)

func TestKeepsTheLargest(t *testing.T) {
	for limit := range 6 {
		var all []topk.Item
		l := topk.List{Limit: limit}
		for i := range 50 {
			x := topk.Item{Name: fmt.Sprintf("t%02d", i), Count: rand.IntN(8)}
			all = append(all, x)
			l.Add(x.Name, x.Count)
		}
		slices.SortStableFunc(all, func(a, b topk.Item) int { return b.Count - a.Count })
		if want := all[:limit]; !slices.Equal(l.Items(), want) {
			t.Errorf("limit %d: %v, want %v", limit, l.Items(), want)
		}
	}
}
