import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import type { Mapping } from '../../src/core/mapping.ts';
import type { SecretValue } from '../../src/core/secret-value.ts';
import { render } from '../../src/reconcile/render.ts';
import type { TargetSource } from '../../src/sync/ownership-metadata.ts';
import { withTemplates } from '../../src/sync/template.ts';
import { data, mapping, source, texts } from './sample.ts';

const ID = { namespace: 'a', secret: 's' };

async function rendered(
  of: Partial<Mapping>,
  given: ReadonlyMap<string, SecretValue>,
  sources: ReadonlyMap<string, TargetSource> = new Map(),
): Promise<ReadonlyMap<string, SecretValue>> {
  const all = mapping(of);
  const templates = await render(all, ID, { kind: 'ready', data: given, sources, absent: [] });
  return withTemplates(all, { data: given, sources }, templates);
}

const spec = (templates: Readonly<Record<string, string>>, only = false) => ({ data: templates, only });

async function errorOf(work: Promise<unknown>): Promise<AppError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error('it should fail');
}

describe('templates of a mapping', () => {
  const values = data({ USER: 'ann', PASSWORD: 'p' });

  it('templates add their keys to the keys of the sources', async () => {
    const template = spec({ url: 'db://{{ USER }}:{{ PASSWORD | url_encode }}@host' });
    expect(texts(await rendered({ data: {}, template }, values))).toEqual({
      USER: 'ann',
      PASSWORD: 'p',
      url: 'db://ann:p@host',
    });
  });

  it('templates replace the keys of the sources if `only` is set', async () => {
    const template = spec({ url: '{{ USER }}' }, true);
    expect(texts(await rendered({ data: {}, template }, values))).toEqual({ url: 'ann' });
  });

  it('templates can use the values of the sources, but not the output of other templates', async () => {
    const template = spec({ a: 'A', b: '{{ a }}' });
    expect((await errorOf(rendered({ data: {}, template }, values))).code).toBe('TEMPLATE_FAILED');
  });

  it('the data stays unchanged if the mapping has no templates', async () => {
    expect(await rendered({ data: {} }, values)).toBe(values);
  });

  it.each([false, true])(
    'a template is rejected if a source already defines its key (`only: %s`)',
    async (only) => {
      const template = spec({ USER: 'x' }, only);
      const sources = new Map([['USER', { store: 'vault', key: 'db', property: 'user', version: '7' }]]);
      expect(await errorOf(rendered({ data: {}, template }, values, sources))).toMatchObject({
        code: 'KEY_COLLISION',
        subject: 'key USER',
        detail: 'store vault, key db, property user; and template USER',
      });
    },
  );

  it('templates may use the names of optional sources that are absent', async () => {
    const template = spec({ t: '{% if TOKEN %}{{ TOKEN }}{% else %}none{% endif %}' });
    const sources = { TOKEN: source({ optional: true }), OTHER: source() };
    expect(texts(await rendered({ data: sources, template }, data({}))).t).toBe('none');
    expect(texts(await rendered({ data: sources, template }, data({ TOKEN: 't' }))).t).toBe('t');
    const typo = spec({ t: '{% if TOKENS %}{% endif %}' });
    expect((await errorOf(rendered({ data: sources, template: typo }, data({})))).code).toBe(
      'TEMPLATE_FAILED',
    );
    const required = spec({ t: '{% if OTHER %}{% endif %}' });
    expect((await errorOf(rendered({ data: sources, template: required }, data({})))).code).toBe(
      'TEMPLATE_FAILED',
    );
  });

  it('a template with an error is reported with the position of the error but without any value', async () => {
    const template = spec({ 'app.yaml': 'a: 1\nb: {{ PASSWORT }}' });
    const error = await errorOf(rendered({ data: {}, template }, data({ PASSWORD: 'hunter2' })));
    expect(error.message).toBe(
      'template app.yaml: the template cannot be rendered (line 2, column 7: there is no `PASSWORT`)',
    );
    expect(error).toMatchObject({ code: 'TEMPLATE_FAILED' });
  });

  it('a template fails with TEMPLATE_INVALID if it cannot be parsed', async () => {
    const template = spec({ x: '{{ USER | nope }}' });
    const error = await errorOf(rendered({ data: {}, template }, values));
    expect(error.code).toBe('TEMPLATE_INVALID');
    expect(error.message).toContain('line 1, column 1: there is no filter `nope`');
  });
});
