//! What a chart renders to goes through `pin -`, as Helm's post-renderer does it: images are pinned, and everything else of
//! the stream comes out byte for byte.

mod support;

use support::{FROM_LAYOUT, LIBRARY_ONLY, Layout, Repository};

const WEB: &str = "docker.io/library/web:1.25";
const WAIT: &str = "docker.io/library/wait:1";

/// As `helm template` writes it: `# Source:` comments, documents of comments alone, hooks, quotes, odd white space.
const RENDERED: &str = "---
# Source: app/templates/empty.yaml
---
# Source: app/templates/config.yaml
apiVersion: v1
kind: ConfigMap
metadata:
  name: app
data:
  run.sh: |
    # image: web:1.25
    docker run web:1.25   
  embedded.yaml: |
    kind: Pod
    spec: {containers: [{image: \"web:1.25\"}]}
---
# Source: app/templates/deployment.yaml
apiVersion: apps/v1
kind: Deployment
metadata:
  name: app # the web
  annotations: {checksum/config: 'ab:cd', image: \"web:1.25\"}
spec:
  template:
    spec:
      initContainers:
        - {name: wait, image: 'wait:1',   args: [a, b]}
      containers:
        - name: web
          image: \"web:1.25\"   # moved by hand
          env:
          - {name: CAF\u{c9}, value: \"\u{2713}\"}
        -   name: again
            image:   web:1.25


---
# Source: app/templates/tests/test.yaml
apiVersion: v1
kind: Pod
metadata:
  name: test
  annotations:
    \"helm.sh/hook\": test
spec:
  restartPolicy: Never
  containers: [{name: t, image: wait:1}]";

#[test]
fn rendered_charts_pass_through_pin() {
    let repository = Repository::new();
    let mut layout = Layout::new(&repository.path("registry"));
    let (web, wait) = (layout.add(WEB).digest(), layout.add(WAIT).digest());
    layout.finish();
    repository.write("plimsoll.yaml", format!("{LIBRARY_ONLY}{FROM_LAYOUT}"));
    for rendered in [RENDERED.to_owned(), RENDERED.replace('\n', "\r\n")] {
        let answer = repository.run_with(&["pin", "-", "--as", "kubernetes"], rendered.as_bytes());
        assert_eq!(answer.code, 0, "{}", answer.stderr);
        let expected = rendered
            .replace("image: 'wait:1'", &format!("image: 'wait:1@{wait}'"))
            .replace("image: wait:1}", &format!("image: wait:1@{wait}}}"))
            .replace("image: \"web:1.25\"   #", &format!("image: \"web:1.25@{web}\"   #"))
            .replace("image:   web:1.25", &format!("image:   web:1.25@{web}"));
        assert_eq!(answer.stdout, expected);
        let again = repository.run_with(&["pin", "-", "--as", "kubernetes"], answer.stdout.as_bytes());
        assert_eq!((again.code, again.stdout), (0, expected), "{}", again.stderr);
    }
}
