import { describe, expect, it } from 'vitest';
import { createRequest } from './http.ts';
import { localstack } from './inject.ts';
import { borrowLocalStack, startLocalStack } from './localstack.ts';

describe('startLocalStack', () => {
  it('starts one next to another, and leaves nothing of it', async () => {
    const one = await startLocalStack({ borrow: false });
    expect(one.address).not.toBe(localstack().address);
    const send = createRequest({ address: one.address });
    expect((await send('GET', '/_localstack/health')).status).toBe(200);
    await one.stop();
    await expect(send('GET', '/_localstack/health')).rejects.toThrow();
  });

  it('borrows what a configured address answers, and leaves it running', async () => {
    const borrowed = await borrowLocalStack({ SECRETBRIDGE_TEST_AWS_ENDPOINT: localstack().address });
    expect(borrowed).toMatchObject({ address: localstack().address, borrowed: true });
    await borrowed?.stop();
    expect(
      (await createRequest({ address: localstack().address })('GET', '/_localstack/health')).status,
    ).toBe(200);
  });

  it('does not quietly test another server after an address where nothing answers', async () => {
    const env = { SECRETBRIDGE_TEST_AWS_ENDPOINT: 'http://127.0.0.1:1' };
    await expect(borrowLocalStack(env)).rejects.toThrow('Check SECRETBRIDGE_TEST_AWS_ENDPOINT');
  });
});
