import { describe, expect, it } from 'vitest';
import { createRequest } from './http.ts';
import { localstack } from './inject.ts';
import { borrowLocalStack, startLocalStack } from './localstack.ts';

describe('startLocalStack', () => {
  it('starts a second server, and removes the second server completely', async () => {
    const one = await startLocalStack({ borrow: false });
    expect(one.address).not.toBe(localstack().address);
    const send = createRequest({ address: one.address });
    expect((await send('GET', '/_localstack/health')).status).toBe(200);
    await one.stop();
    await expect(send('GET', '/_localstack/health')).rejects.toThrow();
  });

  it('borrows the server at a configured address, and keeps the server running', async () => {
    const borrowed = await borrowLocalStack({ SECRETBRIDGE_TEST_AWS_ENDPOINT: localstack().address });
    expect(borrowed).toMatchObject({ address: localstack().address, borrowed: true });
    await borrowed?.stop();
    expect(
      (await createRequest({ address: localstack().address })('GET', '/_localstack/health')).status,
    ).toBe(200);
  });

  it('fails when no server answers at the configured address', async () => {
    const env = { SECRETBRIDGE_TEST_AWS_ENDPOINT: 'http://127.0.0.1:1' };
    await expect(borrowLocalStack(env)).rejects.toThrow('Check SECRETBRIDGE_TEST_AWS_ENDPOINT');
  });
});
