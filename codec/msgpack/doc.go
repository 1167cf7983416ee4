// Package msgpack reads and writes MessagePack as the libraries that Socket.IO's
// parsers and adapters use write it: three dialects, which differ in what they
// make of undefined and of dates, and of numbers that JavaScript does not count
// exactly. Reading takes all three at once.
//
// [Append] and [Decode] work on Go values, [FromJSON] and [ToJSON] turn the
// arguments of an event from one parser's form into the other's, and [Next]
// reads token by token where only a part is wanted.
//
// What arrives is not trusted: a length is compared with the bytes that are left
// before anything is allocated, and nesting is bounded by the caller.
//
// The format: https://github.com/msgpack/msgpack/blob/master/spec.md.
package msgpack
