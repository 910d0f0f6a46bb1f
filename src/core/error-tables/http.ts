/** Errors in HTTP API requests, or in the address of the HTTP API. */
export const HTTP = {
  INVALID_REQUEST: {
    group: 'http',
    category: 'fix-config',
    message: 'the API does not accept this request',
    remedy: 'Correct the request. `/api/openapi.json` describes all requests.',
  },
  UNAUTHENTICATED: {
    group: 'http',
    category: 'fix-access',
    message: 'the request has no valid token',
    remedy:
      'Send a valid token in the header `Authorization: Bearer …`. `http.tokens`, `http.kubernetes` and `http.oidc` define which tokens are valid.',
  },
  SIGN_IN_REFUSED: {
    group: 'http',
    category: 'fix-access',
    message: 'the sign-in is not valid',
    remedy: 'Sign in again. If this does not help, check `http.oidc` and the client at the provider.',
  },
  ROLE_MISSING: {
    group: 'http',
    category: 'fix-access',
    message: 'no group of this person has a role',
    remedy:
      'Add the person to a group in `http.oidc.roles`, or check that the provider sends the groups in the claim `http.oidc.groupsClaim`.',
  },
  SESSION_ENDED: {
    group: 'http',
    category: 'fix-access',
    message: 'the session has ended',
    remedy: 'Sign in again: on the review page, or with `secretbridge login`.',
  },
  OIDC_UNAVAILABLE: {
    group: 'http',
    category: 'retry',
    message: 'the OIDC provider gives no usable answer',
    remedy:
      'Check that this process can reach `http.oidc.issuer`, and that the provider works. Tokens of `http.tokens` work meanwhile.',
  },
  FORBIDDEN: {
    group: 'http',
    category: 'fix-access',
    message: 'this token has no permission for the request',
    remedy:
      'The message names the missing role. Grant it in `http.tokens` or `http.oidc.roles`, or with a Kubernetes Role that allows `use` on `roles.secretbridge.dev`.',
  },
  EVENT_REFUSED: {
    group: 'http',
    category: 'fix-access',
    message: 'the event is not authenticated',
    remedy:
      'Sign the event, or send its key, with the credential in `events`. Sign the exact body, use a correct clock, and send each event once.',
  },
  NOT_FOUND: {
    group: 'http',
    category: 'fix-config',
    message: 'no object has this name',
    remedy: 'Correct the URL. `/api/v1/mappings` lists the mappings, and `/api/openapi.json` lists the URLs.',
  },
  METHOD_NOT_ALLOWED: {
    group: 'http',
    category: 'fix-config',
    message: 'this URL does not support this method',
    remedy: 'Use a method in the `Allow` header of the response.',
  },
  RATE_LIMITED: {
    group: 'http',
    category: 'wait',
    message: 'this client address sent too many requests, or too many invalid tokens',
    remedy: 'Wait as long as the `Retry-After` header of the response says.',
  },
  LISTEN_FAILED: {
    group: 'http',
    category: 'fix-config',
    message: 'the server cannot listen on this address',
    remedy: 'Correct `http.listen`, or stop the program that uses the port.',
  },
} as const;
