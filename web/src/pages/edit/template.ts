/** What a new server's text is at first. */
export function template(namespace: string): string {
  return `apiVersion: virtualservers.coreweave.com/v1alpha1
kind: VirtualServer
metadata:
  name: my-server
  namespace: ${namespace}
spec:
  os:
    type: linux
  resources:
    cpu:
      count: 1
    memory: 1Gi
  storage:
    root:
      size: 4Gi
      storageClassName: local
      source:
        pvc:
          namespace: vd-images
          name: debian
  network:
    public: true
    tcp:
      ports: [22]
  initializeRunning: true
`
}
