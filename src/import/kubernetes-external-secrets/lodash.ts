/** A lodash template as a Go template, which the importer can translate. `undefined`: no equivalent. */
type Translated = string | undefined;

/**
 * Translates a lodash template (https://lodash.com/docs/#template). Supports text, and outputs of values, of members of
 * JSON, and of base64.
 */
export function goTemplateOf(template: string): Translated {
  const parts: string[] = [];
  let at = 0;
  for (const { index, 0: tag, 1: code = '' } of template.matchAll(/<%([\s\S]*?)%>/g)) {
    parts.push(asText(template.slice(at, index)));
    const value = code.startsWith('=') ? valueOfCode(code.slice(1).trim()) : undefined;
    if (value === undefined) return undefined;
    parts.push(`{{ ${value} }}`);
    at = index + tag.length;
  }
  const rest = template.slice(at);
  // lodash also replaces `${…}`.
  if (/\$\{|<%/.test(rest) || parts.some((part) => part.includes('${'))) return undefined;
  return [...parts, asText(rest)].join('');
}

/** Returns the Go template for the value of a key that holds base64, or `undefined` if it has no equivalent. */
export function goTemplateOfBase64(template: string): Translated {
  if (!template.includes('<%')) {
    const text = Buffer.from(template, 'base64').toString('utf8');
    return text.includes('\uFFFD') ? undefined : asText(text);
  }
  const [, inner] =
    /^\s*<%=\s*Buffer\.from\(([\s\S]*)\)\.toString\((?:"base64"|'base64')\)\s*%>\s*$/.exec(template) ?? [];
  const value = inner === undefined ? undefined : valueOfCode(inner.trim());
  return value === undefined ? undefined : `{{ ${value} }}`;
}

function asText(text: string): string {
  return text.replaceAll('{{', '{{ "{{" }}');
}

const NAME = /^data(?:\.([A-Za-z_$][\w$]*)|\[(?:"([^"\\]+)"|'([^'\\]+)')\])/;

function valueOfCode(code: string): string | undefined {
  const base64 = /^Buffer\.from\(([\s\S]*)\)\.toString\((?:"base64"|'base64')\)$/.exec(code);
  if (base64 !== null) {
    const inner = valueOfCode(base64[1]?.trim() ?? '');
    return inner === undefined ? undefined : `${inner} | b64enc`;
  }
  const json = /^JSON\.parse\(([\s\S]*?)\)((?:\.[A-Za-z_]\w*)*)$/.exec(code);
  if (json !== null) {
    const inner = keyOf(json[1]?.trim() ?? '');
    return inner === undefined || json[2] === undefined || json[2] === ''
      ? undefined
      : `(fromJson ${inner})${json[2]}`;
  }
  return keyOf(code);
}

/** Returns the Go expression for one key. */
function keyOf(code: string): string | undefined {
  const match = NAME.exec(code);
  if (match === null || match[0].length !== code.length) return undefined;
  const [, plain, ...quoted] = match;
  if (plain !== undefined && /^[A-Za-z_]\w*$/.test(plain)) return `.${plain}`;
  const name = plain ?? quoted.find((text) => text !== undefined);
  return name === undefined ? undefined : `(index . ${JSON.stringify(name)})`;
}
