/** Called for each requested change, with its RBAC verb. */
export type OnWrite = (verb: 'create' | 'update' | 'patch' | 'delete') => void;
