/** Manifests as people write them: each has something that a form must leave alone. */
export const MANIFESTS: Readonly<Record<string, string>> = {
  plain: `apiVersion: virtualservers.coreweave.com/v1alpha1
kind: VirtualServer
metadata:
  name: plain
spec:
  network:
    public: true
    tcp:
      ports: [22]
  region: north
`,
  commented: `# What this is for: the shop.
apiVersion: virtualservers.coreweave.com/v1alpha1
kind: VirtualServer   # ours
metadata:             # who
  name: shop          # as the bill says

  # found by
  labels:
    tier: front # and back
spec: # what
  # how it is reached
  network: # the network
    public: true # the world
    # these are open
    tcp: # web
      ports: # which
        # first
        - 80 # http
        # second
        - 443 # https
        # third is none
    # nothing for udp
  # the end of spec
# the end
`,
  'unindented lists': `kind: VirtualServer
metadata: {name: a}
spec:
  network:
    tcp:
      ports:
      - 22
      - 80   # web
    vpcs:
    - name: blue
      # of the office
    - name: red
  users:
  - username: a
    sshpublickey: ssh-ed25519 AAAA a
  - username: b
    password: "se cret"
`,
  'four spaces': `kind: VirtualServer
metadata:
    name: wide
spec:
    network:
        public: false
        udp:
            ports:
                -   53
                -   123
    users:
        -   username: a
            password: 'it''s'
`,
  flow: `{kind: VirtualServer, metadata: {name: flow, labels: {a: b}}, spec: {network: {public: yes, tcp: {ports: [22, 80]}}, region: "x"}}
`,
  'flow in lines': `kind: VirtualServer
metadata: { name: flow }
spec: {
  network: {
    public: true, # why
    tcp: { ports: [
      22, # ssh
      80, # http
    ] },
    vpcs: [{name: blue}, {name: red},],
  },
  region: 'north' , # up
}
`,
  json: `{
  "kind": "VirtualServer",
  "metadata": {"name": "json"},
  "spec": {
    "network": {
      "public": false,
      "tcp": {"ports": [22, 443]},
      "floatingIPs": ["203.0.113.9", {"serviceName": "mine"}]
    },
    "users": []
  }
}
`,
  'empty things': `kind: VirtualServer
metadata:
  name: empty
  labels:
spec:
  network:
  users: []
  region: ''
  resources: {}
  storage: # disks
`,
  'nothing but nulls': `kind: VirtualServer
metadata: {name: nulls, labels: null}
spec:
  network: ~ # none yet
  users: null
  region: # said later
`,
  anchors: `kind: VirtualServer
metadata:
  name: &name anchors
  labels:
    app: *name
spec:
  network: &net
    public: true
    tcp: &tcp
      ports: [22]
  region: &unused north
other: *tcp
`,
  'unused anchors': `kind: VirtualServer
metadata: &m
  name: &n own
spec: &s
  network: &w {public: &p true, tcp: {ports: &ports [22, &x 80]}}
  users: &u
    - &first
      username: a
    - username: b
`,
  merged: `defaults: &defaults
  region: north
  network: {public: true, tcp: {ports: [22]}}
kind: VirtualServer
metadata: {name: merged}
spec:
  <<: *defaults
  resources: {memory: 1Gi}
`,
  tagged: `kind: !!str VirtualServer
metadata:
  name: !!str 22
spec: !!map
  network:
    public: !!bool "true"
    tcp:
      ports: !!seq [22]
  region: ! north
`,
  quoted: `"kind": 'VirtualServer'
'metadata':
  "name": 'quoted'
"spec":
  "network":
    'public': yes
    "tcp":
      'ports': [ 22 , 80 ]
  'region': "no\\trth" # tab
  "users":
    - 'username': "a"
`,
  'old booleans': `kind: VirtualServer
metadata: {name: old}
spec:
  network: {public: On, headless: n, directAttachLoadBalancerIP: OFF}
  initializeRunning: YES
`,
  'blocks of text': `kind: VirtualServer
metadata: {name: text}
spec:
  cloudInit: |
    #cloud-config
    write_files:
      - path: /etc/motd
        content: |
          hello: world

    runcmd: [ls]
  region: >-
    nor
    th
  network:
    public: true
`,
  'text that keeps its end': `kind: VirtualServer
metadata: {name: keeps}
spec:
  network: {public: true}
  cloudInit: |+ # all of it
    packages: [nginx]


  region: north
`,
  'text at the end': `kind: VirtualServer
metadata: {name: last}
spec:
  network:
    public: false
  cloudInit: |-
    a: 1
      # no comment
    b: 2
`,
  'text with its own indent': `kind: VirtualServer
metadata: {name: own}
spec:
  cloudInit: |2
      deep
    deeper
  network:
    tcp: {ports: [22]}
`,
  'a comment below what is below a text': `kind: VirtualServer
metadata: {name: below}
spec:
  cloudInit: |
    packages: [nginx]
  network:
    tcp:
      ports: [22]
    # nothing for udp
  os: {type: linux}
`,
  'a blank line below what is below a text': `kind: VirtualServer
metadata: {name: blank}
spec:
  cloudInit: |+
    packages: [nginx]
  region: north

  # where it runs
  network:
    tcp:
      ports: [22]

  os: {type: linux}
`,
  'a comment as deep as the text above': `kind: VirtualServer
metadata: {name: deep}
spec:
  cloudInit: >-
    packages: [nginx]
  region: north
    # said by
    #   the office

    # and by ours
  users:
    - username: a
    # - username: b
  network: {public: true}
`,
  'tabs in strings': `kind: VirtualServer
metadata:
  name: tabs
  annotations:
    note: "a\tb"
    other: 'c\td' \t# tab before
spec:
  cloudInit: |
    a:\tb
  network: {public: true\t, tcp: {ports: [22]}}
`,
  'several lines': `kind: VirtualServer
metadata: {name: lines}
spec:
  region: a plain
    scalar of
    lines # why
  users:
    - username: "double
        quoted"
      password: 'single

        quoted'
  network: {public: true}
`,
  'explicit keys': `? kind
: VirtualServer
? metadata
: name: explicit
? spec
: ? network
  : public: true
    ? tcp
    : ports:
        - 22
  region: north
`,
  'blank lines': `

kind: VirtualServer


metadata:

  name: blank

spec:


  network:

    public: true


    tcp:

      ports:

        - 22

        - 80


  region: north


`,
  'markers and directives': `%YAML 1.1
---
kind: VirtualServer
metadata: {name: marked}
spec:
  network:
    public: true
...
`,
  'a marker with a comment': `--- # begin
kind: VirtualServer
metadata:
  name: marker
spec: {network: {public: true}}
`,
  'of three documents': `apiVersion: v1
kind: Secret
metadata: {name: key}
stringData: {authorized_keys: "ssh-ed25519 AAAA"}
--- # the server
# mine
kind: VirtualServer
metadata: {name: second}
spec:
  network: {public: true}
--- 
kind: Service
spec: {ports: [{port: 80}]}
`,
  'of two servers': `kind: VirtualServer
metadata: {name: one}
spec:
  network:
    public: true
---
kind: VirtualServer
metadata: {name: two}
spec:
  network:
    public: false
`,
  'after an empty document': `# nothing here
---
---
kind: VirtualServer
metadata: {name: later}
spec:
  network:
    tcp:
      ports:
        - 22
`,
  'unknown keys': `kind: VirtualServer
metadata:
  name: unknown
  finalizers: [a.b/c]
x-mine: {a: [1, 2, {b: c}]}
spec:
  future: {deep: {deeper: 1}}
  network:
    shiny: true
    tcp: {ports: [22], backlog: 128}
`,
  numbers: `kind: VirtualServer
metadata: {name: numbers}
spec:
  resources:
    cpu: {count: 0x10}
    memory: 8_589_934_592
  terminationGracePeriodSeconds: 017
  network: {tcp: {ports: [0b10110]}}
`,
  'what looks like time': `kind: VirtualServer
metadata:
  name: time
  annotations: {at: 2026-01-01, of: 12:30:45, on: 2026-01-01T00:00:00Z}
spec:
  network: {public: true}
`,
  'strange names': `kind: VirtualServer
metadata:
  name: strange
  labels: {"": x, "a b": y, 'k:v': z, "#h": "#", 12: n, true: t, null: u}
spec:
  network:
    public: true
`,
  'long and deep': `kind: VirtualServer
metadata: {name: deep}
spec:
  affinity:
    nodeAffinity:
      requiredDuringSchedulingIgnoredDuringExecution:
        nodeSelectorTerms:
          - matchExpressions:
              - key: a # one
                operator: In
                values: [x, y]
              -   key: b
                  operator: Exists
  network:
    dnsConfig:
      options:
        - name: ndots
          value: "2"
      searches: [a.b, c.d]
      nameservers:
        - 9.9.9.9
`,
  'lists in lists': `kind: VirtualServer
metadata: {name: lists}
x:
- - a
  - - b
    - c: d
- - {e: f}
spec:
  network:
    tcp:
      ports: [22,
        80]
`,
  'not ASCII': `# größer 🚀
kind: VirtualServer
metadata:
  name: text
  annotations: {note: "Grüße 🚀", andere: ü}
spec:
  region: 北 # 🚀
  network: {public: true} # ÿ
`,
  'nothing yet': ``,
  'a comment alone': `# to be written
`,
  'only a kind': `kind: VirtualServer
`,
}

/** Texts that no form touches: they cannot be read, or say two things at once. */
export const FAULTY: Readonly<Record<string, string>> = {
  'a key twice': 'kind: VirtualServer\nspec: {a: 1}\nspec: {a: 2}\n',
  'a key twice below': 'kind: VirtualServer\nspec:\n  network: {public: true, public: false}\n',
  'a carriage return alone': 'kind: VirtualServer\nspec:\n  network:\n    public: false\r # why\n',
  'a bracket open': 'kind: VirtualServer\nspec: {network: {public: true}\n',
  'a tab as indent': 'kind: VirtualServer\nspec:\n\tnetwork: {}\n',
  'a quote open': 'kind: VirtualServer\nspec: {a: "b}\n',
  'no such alias': 'kind: VirtualServer\nspec: *nothing\n',
  'a list': '- kind: VirtualServer\n',
  'a word': 'VirtualServer\n',
  'bad indent': 'kind: VirtualServer\nspec:\n    a: 1\n  b: 2\n',
  'faulty in another document': 'kind: VirtualServer\nspec: {}\n---\na: [\n',
}

/** Each text as other editors would have it. */
export function variants(text: string): Record<string, string> {
  const found: Record<string, string> = { '': text, 'CRLF': text.replaceAll('\n', '\r\n'), 'no last line break': text.replace(/\n$/, '') }
  // A second document behind it; not where the text has its own markers.
  if (!/^(?:---|\.\.\.|%)/m.test(text) && text.includes('kind')) found['beside another'] = `kind: X\n---\n${text}---\nkind: Y\n`
  return found
}
