import { describe, expect, it } from 'vitest';
import { grantOf } from '../../../src/providers/vault/grant.ts';

function answered(auth: object) {
  const text = JSON.stringify({ auth });
  return grantOf({ status: 200, isJson: true, text, retryAfterMs: undefined, date: undefined }, 'jwt');
}

describe('the result of a login', () => {
  it('returns the lifetime of the token', () => {
    expect(answered({ client_token: 't', lease_duration: 60, renewable: true })).toMatchObject({
      ttlMs: 60_000,
      renewable: true,
    });
  });

  it('returns the number of uses of the token, and does not renew a token with limited uses', () => {
    const auth = { client_token: 't', lease_duration: 60, renewable: true };
    expect(answered({ ...auth, num_uses: 3 })).toMatchObject({ uses: 3, ttlMs: 60_000, renewable: false });
    expect(answered({ ...auth, num_uses: 0 })).not.toHaveProperty('uses');
  });

  it.each([{}, { renewable: true }, { lease_duration: 0, renewable: true }])(
    'treats the lifetime of the token as unknown if the response contains no lifetime: %j',
    (more) => {
      const grant = answered({ client_token: 't', ...more });
      expect(grant).toMatchObject({ ttlMs: undefined, renewable: false, isOwn: true });
      expect(grant.token.revealText()).toBe('t');
    },
  );

  it.each([{}, { client_token: '', lease_duration: 60 }, { client_token: 5, lease_duration: 60 }])(
    'reports BAD_ANSWER if the response contains no token: %j',
    (auth) => {
      expect(() => answered(auth)).toThrow(expect.objectContaining({ code: 'BAD_ANSWER' }));
    },
  );
});
