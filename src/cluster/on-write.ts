/** Called for each write request, with its RBAC verb. */
export type OnWrite = (verb: 'create' | 'update' | 'patch' | 'delete') => void;
