/** The annotation in which kubectl keeps the manifest that it applied: all of it, with the passwords. */
export const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration'
