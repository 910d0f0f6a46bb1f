import { describe, expect, it } from 'vitest';
import { ALL_SENTINELS_REFUSE, failureOf, replyFailureOf } from '../../src/queue/redis-errors.ts';

const reply = (message: string): Error => Object.assign(new Error(message), { name: 'ReplyError' });
const coded = (code: string): Error => Object.assign(new Error('x'), { code });

describe('failureOf', () => {
  it.each([
    [new Error('WRONGPASS invalid username-password pair or user is disabled.'), /rejects the user/],
    [
      new Error("OOM command not allowed when used memory > 'maxmemory'. script: f00"),
      /memory of Redis is full/,
    ],
    [
      new Error('ERR Error running script (call to f_1): @user_script:7: -OOM command not allowed'),
      /is full/,
    ],
    [new Error("READONLY You can't write against a read only replica."), /is a replica/],
    [new Error('LOADING Redis is loading the dataset in memory'), /still loading/],
    [reply("ERR unknown command 'evalsha'"), /refuses a command/],
    [
      reply("ERR unknown command 'evalsha', with args beginning with: '{Team-A:prod}:jobs'"),
      /refuses a command/,
    ],
    [reply('WRONGTYPE Operation against a key holding the wrong kind of value'), /refuses a command/],
    [reply('ERR max number of clients reached'), /accepts no more connections/],
    [new Error(ALL_SENTINELS_REFUSE, { cause: reply('WRONGPASS invalid password') }), /sentinel\.password/],
    [new Error(ALL_SENTINELS_REFUSE, { cause: coded('CERT_HAS_EXPIRED') }), /TLS/],
    [new Error('All sentinels are unreachable and retry is disabled.'), /no sentinel answers/],
    [
      reply(
        'ERR Script attempted to access a non local key in a cluster node script: f00, on @user_script:1.',
      ),
      /moving the slot/,
    ],
    [
      reply(
        'ERR Error running script (call to f_1): @user_script:1: Lua script attempted to access a non local key',
      ),
      /moving the slot/,
    ],
    [
      reply('ERR Script attempted to execute a command while the cluster is down script: f00'),
      /does not serve all/,
    ],
    [reply('ERR Script killed by user with SCRIPT KILL... script: f00'), /busy with a script/],
    [coded('ECONNREFUSED'), /no server answers/],
    [coded('ENOTFOUND'), /cannot be resolved/],
    [coded('CERT_SIGNATURE_FAILURE'), /TLS connection/],
    [coded('ERR_SSL_WRONG_VERSION_NUMBER'), /TLS connection/],
    [new Error('Command timed out'), /in time/],
    [
      Object.assign(new Error('None of the nodes answers'), { lastNodeError: coded('ECONNREFUSED') }),
      /no server/,
    ],
    [new Error('Connection is closed.'), /was lost/],
    ['no error', /was lost/],
  ])('describes this failure to operators: %s', (thrown, detail) => {
    expect(failureOf(thrown).detail).toMatch(detail);
  });

  it('treats an error as a reply of Redis only if Redis sent the error', () => {
    expect(replyFailureOf(new Error('Missing lock for job 1. moveToFinished'))).toBeUndefined();
    expect(replyFailureOf(coded('ECONNREFUSED'))).toBeUndefined();
    expect(replyFailureOf(new Error('ERR of a client'))).toBeUndefined();
    // Redis sends this reply during a failover, so the failure is transient.
    expect(replyFailureOf(reply('UNBLOCKED force unblock from blocking operation'))).toBeUndefined();
    expect(replyFailureOf(new Error('NOPERM no permissions'))?.state).toBe('down');
  });
});
