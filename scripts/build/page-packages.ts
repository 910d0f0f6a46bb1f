/** The packages that the review page contains. Their licenses are in `licenses.txt`, beside the page. */
export const PAGE_PACKAGES = ['@tanstack/store', '@tanstack/table-core', 'preact', 'uplot'] as const;
