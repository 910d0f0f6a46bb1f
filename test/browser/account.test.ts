// biome-ignore-all lint/performance/useDomNodeTextContent: it is Playwright's, and what a person sees is meant
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type OidcIssuer, startOidcIssuer } from '../fakes/oidc-issuer.ts';
import { type SignInServer, startSignInServer } from '../sign-in/harness.ts';
import { CLIENT_ID } from '../sign-in/oidc-provider.ts';
import { launch, openTab, skipReason } from './chromium.ts';

describe.skipIf(skipReason !== undefined)('the sign-in by OIDC in Chromium', () => {
  let browser: Browser | undefined;
  let issuer: OidcIssuer;
  let service: SignInServer;
  let url: string;

  beforeAll(async () => {
    browser = await launch();
    issuer = await startOidcIssuer(CLIENT_ID);
    issuer.claims = { groups: ['sre'], email: 'ann@example.com', email_verified: true };
    service = await startSignInServer(issuer.issuer);
    url = await service.server.server.listen('127.0.0.1:0');
  });

  afterAll(async () => {
    await browser?.close();
    await service[Symbol.asyncDispose]();
    await issuer[Symbol.asyncDispose]();
  });

  it('returns to the view, holds after a reload, lets the person act, and ends with the sign-out', async () => {
    if (browser === undefined) throw new Error('no browser');
    await using tab = await openTab(browser, url, {});
    const { page } = tab;
    await page.goto('/#/mappings/db');
    await page.getByRole('button', { name: 'Sign in with your account' }).click();
    await expect.poll(() => page.locator('.account').innerText()).toContain('ann@example.com');
    expect(await page.getByRole('heading', { level: 1 }).innerText()).toBe('Mapping db');
    expect(await page.evaluate(() => document.cookie)).toBe('');

    await page.reload();
    await expect.poll(() => page.locator('.account').innerText()).toContain('operator');
    await page.getByRole('button', { name: 'Sync now' }).click();
    await expect.poll(() => service.server.calls.at(-1)?.what).toBe('sync db');
    expect(service.server.calls.at(-1)?.by.subject).toBe(`${issuer.issuer}#ann`);

    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByLabel('Access token').waitFor();
    await page.reload();
    await page.getByLabel('Access token').waitFor();
    expect(await page.getByRole('navigation').count()).toBe(0);
    expect((await page.context().cookies()).map(({ name }) => name)).toEqual([]);
    expect(tab.complaints).toEqual([]);
  });
});
