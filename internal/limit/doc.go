// Package limit bounds how often something happens and how many there are of it:
// by token buckets of eight bytes, and by a table of addresses whose size is
// bounded.
package limit
