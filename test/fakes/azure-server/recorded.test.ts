import { describe, expect, it } from 'vitest';
import { createManualTime } from '../manual-time.ts';
import { openClients, refusal } from './clients.ts';

// Compares the fake with recordings of the real service. docs/explanation/what-is-absence.md names each recording.

const forbidden = (code: string) => ({ status: 403, details: { error: { innerError: { code } } } });

async function openTimed(deletionLagMs = 0) {
  const time = createManualTime();
  const azure = await openClients(time.now);
  azure.server.deletionLagMs = deletionLagMs;
  return { ...azure, time };
}

describe('the fake Key Vault, compared with recordings', () => {
  it('denies a deleted secret at both addresses for a while, and then shows it as deleted', async () => {
    await using azure = await openTimed(76_000);
    const { server, secrets, time } = azure;
    server.secrets.put('a', '1');
    server.secrets.remove('a');
    const notFound = { status: 404, code: 'SecretNotFound' };
    expect(await refusal(secrets.getSecret('a'))).toMatchObject(notFound);
    expect(await refusal(secrets.getDeletedSecret('a'))).toMatchObject(notFound);
    await time.advance(75_999);
    expect(await refusal(secrets.getDeletedSecret('a'))).toMatchObject(notFound);
    await time.advance(1);
    expect(await refusal(secrets.getSecret('a'))).toMatchObject(notFound);
    expect(await secrets.getDeletedSecret('a')).toMatchObject({
      recoveryId: `${server.address}/deletedsecrets/a`,
      properties: { version: expect.stringMatching(/^[0-9a-f]{32}$/) },
    });
  });

  it('denies a recovered secret for a while', async () => {
    await using azure = await openTimed(15_000);
    const { server, secrets, time } = azure;
    server.secrets.put('a', '1');
    server.secrets.remove('a');
    await time.advance(15_000);
    server.secrets.recover('a');
    expect(await refusal(secrets.getSecret('a'))).toMatchObject({ status: 404, code: 'SecretNotFound' });
    await time.advance(15_000);
    expect((await secrets.getSecret('a')).value).toBe('1');
  });

  it('denies deleted keys and certificates for a while too', async () => {
    await using azure = await openTimed(15_000);
    const { server, keys, certificates, time } = azure;
    server.keys.put('k', '{"kty":"oct"}');
    server.certificates.put('c', Buffer.from('cer'), { enabled: false });
    server.keys.remove('k');
    server.certificates.remove('c');
    expect(await refusal(keys.getDeletedKey('k'))).toMatchObject({ status: 404, code: 'KeyNotFound' });
    expect(await refusal(certificates.getDeletedCertificate('c'))).toMatchObject({
      status: 404,
      code: 'CertificateNotFound',
    });
    await time.advance(15_000);
    expect((await keys.getDeletedKey('k')).name).toBe('k');
    expect((await certificates.getDeletedCertificate('c')).name).toBe('c');
  });

  it('reports a disabled and deleted secret as disabled, or as an older release as denied', async () => {
    await using azure = await openTimed();
    const { server, secrets } = azure;
    server.secrets.put('a', '1', { enabled: false });
    server.secrets.remove('a');
    expect(await refusal(secrets.getDeletedSecret('a'))).toMatchObject(forbidden('SecretDisabled'));
    server.deletedDisabled = 'AccessDenied';
    expect(await refusal(secrets.getDeletedSecret('a'))).toMatchObject(forbidden('AccessDenied'));
  });

  it('returns a disabled key and a disabled certificate, but no disabled secret', async () => {
    await using azure = await openTimed();
    const { server, secrets, keys, certificates } = azure;
    const disabled = { enabled: false };
    server.secrets.put('c', 'x', { ...disabled, managed: true });
    server.keys.put('c', '{"kty":"oct"}', disabled);
    server.certificates.put('c', Buffer.from('cer'), disabled);
    expect(await refusal(secrets.getSecret('c'))).toMatchObject(forbidden('SecretDisabled'));
    expect((await keys.getKey('c')).properties.enabled).toBe(false);
    expect((await certificates.getCertificate('c')).properties.enabled).toBe(false);
  });
});
