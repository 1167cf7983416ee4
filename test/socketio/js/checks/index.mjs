// The checks that every client passes by every transport.
import * as messages from './messages.mjs';
import * as namespaces from './namespaces.mjs';
import * as rooms from './rooms.mjs';

export const common = { ...namespaces, ...messages, ...rooms };
