import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import type { SecretValue } from '../../src/core/secret-value.ts';
import type { TargetSource } from '../../src/sync/ownership-metadata.ts';
import { withTemplates } from '../../src/sync/template.ts';
import { data, source, texts } from './sample.ts';

const rendered = (
  of: Parameters<typeof withTemplates>[0],
  given: ReadonlyMap<string, SecretValue>,
  sources: ReadonlyMap<string, TargetSource> = new Map(),
) => withTemplates(of, { data: given, sources });

const spec = (templates: Readonly<Record<string, string>>, only = false) => ({ data: templates, only });

function errorOf(work: () => unknown): AppError {
  try {
    work();
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error('it should fail');
}

describe('templates of a mapping', () => {
  const values = data({ USER: 'ann', PASSWORD: 'p' });

  it('templates add their keys to the keys of the sources', () => {
    const template = spec({ url: 'db://{{ USER }}:{{ PASSWORD | url_encode }}@host' });
    expect(texts(rendered({ data: {}, template }, values))).toEqual({
      USER: 'ann',
      PASSWORD: 'p',
      url: 'db://ann:p@host',
    });
  });

  it('templates replace the keys of the sources if `only` is set', () => {
    const template = spec({ url: '{{ USER }}' }, true);
    expect(texts(rendered({ data: {}, template }, values))).toEqual({ url: 'ann' });
  });

  it('templates can use the values of the sources, but not the output of other templates', () => {
    const template = spec({ a: 'A', b: '{{ a }}' });
    expect(errorOf(() => rendered({ data: {}, template }, values)).code).toBe('TEMPLATE_FAILED');
  });

  it('the data stays unchanged if the mapping has no templates', () => {
    expect(rendered({ data: {} }, values)).toBe(values);
  });

  it.each([false, true])(
    'a template is rejected if a source already defines its key (`only: %s`)',
    (only) => {
      const template = spec({ USER: 'x' }, only);
      const sources = new Map([['USER', { store: 'vault', key: 'db', property: 'user', version: '7' }]]);
      expect(errorOf(() => rendered({ data: {}, template }, values, sources))).toMatchObject({
        code: 'KEY_COLLISION',
        subject: 'key USER',
        detail: 'store vault, key db, property user; and template USER',
      });
    },
  );

  it('templates may use the names of optional sources that are absent', () => {
    const template = spec({ t: '{% if TOKEN %}{{ TOKEN }}{% else %}none{% endif %}' });
    const sources = { TOKEN: source({ optional: true }), OTHER: source() };
    expect(texts(rendered({ data: sources, template }, data({}))).t).toBe('none');
    expect(texts(rendered({ data: sources, template }, data({ TOKEN: 't' }))).t).toBe('t');
    const typo = spec({ t: '{% if TOKENS %}{% endif %}' });
    expect(errorOf(() => rendered({ data: sources, template: typo }, data({}))).code).toBe('TEMPLATE_FAILED');
    const required = spec({ t: '{% if OTHER %}{% endif %}' });
    expect(errorOf(() => rendered({ data: sources, template: required }, data({}))).code).toBe(
      'TEMPLATE_FAILED',
    );
  });

  it('a template with an error is reported with the position of the error but without any value', () => {
    const template = spec({ 'app.yaml': 'a: 1\nb: {{ PASSWORT }}' });
    const error = errorOf(() => rendered({ data: {}, template }, data({ PASSWORD: 'hunter2' })));
    expect(error.message).toBe(
      'template app.yaml: the template cannot be rendered (line 2, column 7: there is no `PASSWORT`)',
    );
    expect(error).toMatchObject({ code: 'TEMPLATE_FAILED' });
  });

  it('a template fails with TEMPLATE_INVALID if it cannot be parsed', () => {
    const template = spec({ x: '{{ USER | nope }}' });
    const error = errorOf(() => rendered({ data: {}, template }, values));
    expect(error.code).toBe('TEMPLATE_INVALID');
    expect(error.message).toContain('line 1, column 1: there is no filter `nope`');
  });
});
