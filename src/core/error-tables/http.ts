import type { ErrorKind } from './kind.ts';

/** What is wrong with a request to the API, or with the address where it is served. */
export const HTTP = {
  INVALID_REQUEST: {
    group: 'http',
    remedy: 'fix-config',
    says: 'the request is not one that the API knows',
    todo: 'Correct the request: `/api/openapi.json` describes each.',
  },
  UNAUTHENTICATED: {
    group: 'http',
    remedy: 'fix-access',
    says: 'the request carries no token that we accept',
    todo: 'Send a valid token in the header `Authorization: Bearer …`; `http.tokens` and `http.kubernetes` say which are valid.',
  },
  FORBIDDEN: {
    group: 'http',
    remedy: 'fix-access',
    says: 'the holder of this token may not do that',
    todo: 'Give them the role that the message names: in `http.tokens`, or by a Role for `use` of `roles.secretbridge.dev`.',
  },
  EVENT_REFUSED: {
    group: 'http',
    remedy: 'fix-access',
    says: 'the event carries no proof that we accept',
    todo: 'Sign or key it with the credential that `events` names, over the body as it is sent, with a clock that is right, and once only.',
  },
  NOT_FOUND: {
    group: 'http',
    remedy: 'fix-config',
    says: 'there is nothing of this name',
    todo: 'Correct the address: `/api/v1/mappings` lists the mappings, `/api/openapi.json` the addresses.',
  },
  METHOD_NOT_ALLOWED: {
    group: 'http',
    remedy: 'fix-config',
    says: 'this address does not take this method',
    todo: 'Use a method that the header `Allow` of the answer names.',
  },
  RATE_LIMITED: {
    group: 'http',
    remedy: 'wait',
    says: 'too many requests, or too many refused tokens, came from this address',
    todo: 'Wait as long as the header `Retry-After` of the answer says.',
  },
  LISTEN_FAILED: {
    group: 'http',
    remedy: 'fix-config',
    says: 'it cannot be served at this address',
    todo: 'Correct `http.listen`, or end the program that uses the port.',
  },
} as const satisfies Record<string, ErrorKind>;
