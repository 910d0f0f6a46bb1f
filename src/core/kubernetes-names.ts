/** RFC 1123 label: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/ */
export const DNS_LABEL = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;

/** RFC 1123 subdomain: labels joined by dots. */
export const DNS_SUBDOMAIN =
  /^(?=.{1,253}$)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;

export function isNamespaceName(name: string): boolean {
  return DNS_LABEL.test(name);
}

export function isSecretName(name: string): boolean {
  return DNS_SUBDOMAIN.test(name);
}

/** https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set */
const LABEL_NAME = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;

/** The key of a label or annotation: `team`, `example.com/team`. */
export function isLabelKey(key: string): boolean {
  const parts = key.split('/');
  const [prefix, name] = parts.length === 1 ? [undefined, key] : parts;
  return (
    parts.length <= 2 && LABEL_NAME.test(name ?? '') && (prefix === undefined || DNS_SUBDOMAIN.test(prefix))
  );
}

export function isLabelValue(value: string): boolean {
  return value === '' || LABEL_NAME.test(value);
}
