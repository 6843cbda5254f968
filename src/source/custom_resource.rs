//! Custom resources whose images stand outside pod-shaped places: which kinds, and where.
//!
//! Left out, since no one field names the image: Istio's `hub` and `tag`, `repository` and
//! `version`, Rancher's upgrade Plan (`image` and `version`), the deprecated `baseImage`, `tag` and `sha` of the Prometheus
//! operator, Argo CD's `image` and `version`; the builds and image streams, where a `kind` beside the name says
//! whether it is an image; and fields that name what a build pushes (`output.image`).

use crate::source::Role;

/// The places in an object of one of those API groups and kinds, as paths from the object: `[]` is every item of a list,
/// `**` any number of levels, and a last key `url` holds `docker://` and a reference. Empty for a kind that is not listed.
pub(crate) fn places(groups: &[&str], kinds: &[&str]) -> Vec<&'static str> {
    if groups.is_empty() || kinds.is_empty() {
        return Vec::new();
    }
    let rows =
        TABLE.iter().filter(|(group, of, _)| groups.contains(group) && kinds.iter().any(|kind| of.contains(kind)));
    rows.flat_map(|(_, _, places)| places.iter().copied()).collect()
}

/// What the images of objects of those API groups are used for: pipelines and builders have their own.
pub(crate) fn role(groups: &[&str]) -> Role {
    let role = |group: &&str| match *group {
        "tekton.dev" => Role::Ci,
        "kpack.io" | "shipwright.io" => Role::Build,
        _ => Role::Run,
    };
    // of an object that claims several groups a cluster takes one: only what they agree on counts
    let first = groups.first().map_or(Role::Run, role);
    if groups.iter().all(|group| role(group) == first) { first } else { Role::Run }
}

/// The last keys of all listed places that do not hold `image`; a document with none of them has none of these places.
/// Where the last key is a common word, the rarer one above it, or the group, stands for it.
pub(crate) fn last_keys() -> impl Iterator<Item = &'static str> {
    let places = TABLE.iter().flat_map(|(group, _, places)| places.iter().map(move |place| (*group, *place)));
    let keys = places.map(|(group, place)| match place.rsplit('.').next().unwrap_or(place) {
        "url" => "registry",
        "package" | "bundle" => group,
        key => key,
    });
    let keys: std::collections::BTreeSet<&str> = keys.filter(|key| !key.contains("image")).collect();
    keys.into_iter()
}

/// Custom resources that a config names, beside the known ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kinds(Vec<OwnKind>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct OwnKind {
    group: String,
    kind: String,
    /// Keys from the object; `[]` behind one is every item of its list.
    places: Vec<Vec<String>>,
}

impl Kinds {
    /// No kind at all.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Adds the images of a kind by their `JSONPath` in an object: `{.spec.image}`, `.spec.jobs[*].image`,
    /// `$.spec['a.b']`. The core group is the empty text.
    ///
    /// # Errors
    /// Why a path is none, in lower case.
    pub fn add(&mut self, group: &str, kind: &str, path: &str) -> Result<(), String> {
        let place = json_path(path)?;
        match self.0.iter_mut().find(|own| own.group == group && own.kind == kind) {
            Some(own) => own.places.push(place),
            None => self.0.push(OwnKind { group: group.to_owned(), kind: kind.to_owned(), places: vec![place] }),
        }
        Ok(())
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds those of another config.
    pub fn extend(&mut self, other: &Self) {
        self.0.extend(other.0.iter().cloned());
    }

    /// The places in an object of one of those `apiVersion`s and kinds.
    pub(crate) fn places(&self, versions: &[&str], kinds: &[&str]) -> Vec<Vec<&str>> {
        let group = |version: &&str| version.split_once('/').map_or("", |(group, _)| group).to_owned();
        let groups: Vec<String> = versions.iter().map(group).collect();
        let fits = |own: &&OwnKind| groups.contains(&own.group) && kinds.contains(&own.kind.as_str());
        let places = self.0.iter().filter(fits).flat_map(|own| &own.places);
        places.map(|place| place.iter().map(String::as_str).collect()).collect()
    }

    /// The last keys of all places: a document that holds none of them names no image of these kinds.
    pub(crate) fn last_keys(&self) -> impl Iterator<Item = &str> {
        let places = self.0.iter().flat_map(|own| &own.places);
        places.filter_map(|place| place.last()).map(|key| key.strip_suffix("[]").unwrap_or(key))
    }
}

/// The part of Kubernetes' `JSONPath` that names places: keys and `[*]`.
fn json_path(path: &str) -> Result<Vec<String>, String> {
    const HELP: &str = "write keys and `[*]`, such as `{.spec.jobs[*].image}`";
    let wrong = |what: &str| Err(format!("`{path}` is no path: {what}; {HELP}"));
    let inner = path.trim().strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).unwrap_or(path.trim());
    let mut rest = inner.strip_prefix('$').unwrap_or(inner);
    let mut steps: Vec<String> = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("[*]") {
            match steps.last_mut() {
                Some(last) if !last.ends_with("[]") => last.push_str("[]"),
                _ => return wrong("`[*]` stands behind a key"),
            }
            rest = after;
            continue;
        }
        let (key, after) = if let Some(quoted) = rest.strip_prefix("['") {
            let Some((key, after)) = quoted.split_once("']") else { return wrong("a quote is not closed") };
            (key.to_owned(), after)
        } else {
            let Some(dotted) = rest.strip_prefix('.') else { return wrong("a key begins with `.`") };
            let mut end = 0;
            while let Some(found) = dotted[end..].chars().next().filter(|found| !matches!(found, '.' | '[')) {
                let escaped = found == '\\' && dotted[end + 1..].starts_with('.');
                end += if escaped { 2 } else { found.len_utf8() };
            }
            (dotted[..end].replace("\\.", "."), &dotted[end..])
        };
        let plain = |found: char| found.is_alphanumeric() || matches!(found, '-' | '_' | '.' | '/' | '~');
        if key.is_empty() || !key.chars().all(plain) {
            return wrong("a key is letters, digits, `-`, `_`, and `.` or `/` in quotes");
        }
        steps.push(key);
        rest = after;
    }
    if steps.is_empty() { wrong("it names nothing") } else { Ok(steps) }
}

type Row = (&'static str, &'static [&'static str], &'static [&'static str]);

const SPEC_IMAGE: &[&str] = &["spec.image"];
const TEKTON: &[&str] = &[
    "spec.**.steps[].image",
    "spec.**.sidecars[].image",
    "spec.**.stepTemplate.image",
    "spec.**.taskRef.bundle",
    "spec.**.pipelineRef.bundle",
];
const ARGO: &[&str] = &["spec.**.container.image", "spec.**.script.image", "spec.**.sidecars[].image"];
const VIRTUAL_MACHINE: &[&str] =
    &["spec.**.containerDisk.image", "spec.**.kernelBoot.container.image", "spec.**.source.registry.url"];

const TABLE: &[Row] = &[
    (
        "acid.zalan.do",
        &["postgresql"],
        &["spec.dockerImage", "spec.sidecars[].image", "spec.connectionPooler.dockerImage"],
    ),
    ("actions.summerwind.dev", &["Runner"], SPEC_IMAGE),
    ("actions.summerwind.dev", &["RunnerDeployment", "RunnerReplicaSet", "RunnerSet"], &["spec.template.spec.image"]),
    ("agent.k8s.elastic.co", &["Agent"], SPEC_IMAGE),
    ("apm.k8s.elastic.co", &["ApmServer"], SPEC_IMAGE),
    ("argoproj.io", &["Workflow", "WorkflowTemplate", "ClusterWorkflowTemplate", "CronWorkflow"], ARGO),
    ("argoproj.io", &["EventSource", "Sensor"], &["spec.template.container.image"]),
    ("beat.k8s.elastic.co", &["Beat"], SPEC_IMAGE),
    ("cassandra.datastax.com", &["CassandraDatacenter"], &["spec.serverImage"]),
    ("cdi.kubevirt.io", &["DataVolume", "DataImportCron", "VolumeImportSource"], &["spec.**.source.registry.url"]),
    ("ceph.rook.io", &["CephCluster"], &["spec.cephVersion.image"]),
    ("core.humio.com", &["HumioCluster"], SPEC_IMAGE),
    ("core.spinkube.dev", &["SpinApp"], SPEC_IMAGE),
    ("databases.spotahome.com", &["RedisFailover"], &["spec.redis.image", "spec.sentinel.image"]),
    ("elasticsearch.k8s.elastic.co", &["Elasticsearch"], SPEC_IMAGE),
    ("enterprisesearch.k8s.elastic.co", &["EnterpriseSearch"], SPEC_IMAGE),
    ("flink.apache.org", &["FlinkDeployment"], SPEC_IMAGE),
    (
        "jaegertracing.io",
        &["Jaeger"],
        &["spec.allInOne.image", "spec.agent.image", "spec.collector.image", "spec.ingester.image", "spec.query.image"],
    ),
    ("k3d.io", &["Simple"], &["image", "registries.create.image"]),
    ("k8s.keycloak.org", &["Keycloak"], SPEC_IMAGE),
    (
        "kafka.strimzi.io",
        &["Kafka"],
        &[
            "spec.kafka.image",
            "spec.kafka.brokerRackInitImage",
            "spec.zookeeper.image",
            "spec.entityOperator.topicOperator.image",
            "spec.entityOperator.userOperator.image",
            "spec.entityOperator.tlsSidecar.image",
            "spec.cruiseControl.image",
            "spec.kafkaExporter.image",
            "spec.jmxTrans.image",
        ],
    ),
    (
        "kafka.strimzi.io",
        &["KafkaConnect", "KafkaMirrorMaker", "KafkaMirrorMaker2", "KafkaBridge"],
        &["spec.image", "spec.clientRackInitImage"],
    ),
    ("kibana.k8s.elastic.co", &["Kibana"], SPEC_IMAGE),
    ("kind.x-k8s.io", &["Cluster"], &["nodes[].image"]),
    ("kpack.io", &["ClusterStack"], &["spec.buildImage.image", "spec.runImage.image"]),
    ("kpack.io", &["ClusterStore"], &["spec.sources[].image"]),
    ("kpack.io", &["Buildpack", "ClusterBuildpack"], SPEC_IMAGE),
    ("kubevirt.io", &["VirtualMachine", "VirtualMachineInstance", "VirtualMachineInstanceReplicaSet"], VIRTUAL_MACHINE),
    ("logstash.k8s.elastic.co", &["Logstash"], SPEC_IMAGE),
    ("longhorn.io", &["EngineImage"], SPEC_IMAGE),
    ("maps.k8s.elastic.co", &["ElasticMapsServer"], SPEC_IMAGE),
    ("minio.min.io", &["Tenant"], SPEC_IMAGE),
    ("monitoring.coreos.com", &["Prometheus"], &["spec.image", "spec.thanos.image"]),
    ("monitoring.coreos.com", &["Alertmanager", "PrometheusAgent", "ThanosRuler"], SPEC_IMAGE),
    ("nfd.kubernetes.io", &["NodeFeatureDiscovery"], &["spec.operand.image"]),
    (
        "opentelemetry.io",
        &["Instrumentation"],
        &[
            "spec.java.image",
            "spec.nodejs.image",
            "spec.python.image",
            "spec.dotnet.image",
            "spec.go.image",
            "spec.apacheHttpd.image",
            "spec.nginx.image",
        ],
    ),
    (
        "opentelemetry.io",
        &["OpenTelemetryCollector", "OpAMPBridge", "TargetAllocator"],
        &["spec.image", "spec.targetAllocator.image"],
    ),
    ("operators.coreos.com", &["CatalogSource"], SPEC_IMAGE),
    ("operators.coreos.com", &["ClusterServiceVersion"], &["spec.relatedImages[].image"]),
    (
        "pgv2.percona.com",
        &["PerconaPGCluster"],
        &["spec.image", "spec.proxy.pgBouncer.image", "spec.backups.pgbackrest.image", "spec.pmm.image"],
    ),
    ("pkg.crossplane.io", &["Provider", "Configuration", "Function"], &["spec.package"]),
    (
        "pkg.crossplane.io",
        &["ControllerConfig", "ProviderRevision", "ConfigurationRevision", "FunctionRevision"],
        SPEC_IMAGE,
    ),
    ("pool.kubevirt.io", &["VirtualMachinePool"], VIRTUAL_MACHINE),
    ("postgres-operator.crunchydata.com", &["PGAdmin", "PGUpgrade"], SPEC_IMAGE),
    (
        "postgres-operator.crunchydata.com",
        &["PostgresCluster"],
        &[
            "spec.image",
            "spec.backups.pgbackrest.image",
            "spec.proxy.pgBouncer.image",
            "spec.monitoring.pgmonitor.exporter.image",
            "spec.userInterface.pgAdmin.image",
        ],
    ),
    ("postgresql.cnpg.io", &["Cluster"], &["spec.imageName"]),
    ("postgresql.cnpg.io", &["ImageCatalog", "ClusterImageCatalog"], &["spec.images[].image"]),
    ("psmdb.percona.com", &["PerconaServerMongoDB"], &["spec.image", "spec.backup.image", "spec.pmm.image"]),
    (
        "pxc.percona.com",
        &["PerconaXtraDBCluster"],
        &[
            "spec.pxc.image",
            "spec.haproxy.image",
            "spec.proxysql.image",
            "spec.logcollector.image",
            "spec.pmm.image",
            "spec.backup.image",
        ],
    ),
    ("rabbitmq.com", &["RabbitmqCluster"], SPEC_IMAGE),
    (
        "redis.redis.opstreelabs.in",
        &["Redis", "RedisCluster", "RedisReplication", "RedisSentinel"],
        &["spec.kubernetesConfig.image", "spec.redisExporter.image"],
    ),
    ("shipwright.io", &["BuildStrategy", "ClusterBuildStrategy"], &["spec.steps[].image", "spec.buildSteps[].image"]),
    (
        "sparkoperator.k8s.io",
        &["SparkApplication", "ScheduledSparkApplication"],
        &[
            "spec.image",
            "spec.template.image",
            "spec.**.driver.image",
            "spec.**.driver.sidecars[].image",
            "spec.**.executor.image",
            "spec.**.executor.sidecars[].image",
        ],
    ),
    ("tekton.dev", &["StepAction"], SPEC_IMAGE),
    ("tekton.dev", &["ClusterTask", "Pipeline", "PipelineRun", "Task", "TaskRun"], TEKTON),
    ("workspace.devfile.io", &["DevWorkspace", "DevWorkspaceTemplate"], &["spec.**.components[].container.image"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_order_and_well_formed() {
        assert!(TABLE.is_sorted_by_key(|(group, _, _)| *group));
        let mut seen = std::collections::HashSet::new();
        for (group, kinds, places) in TABLE {
            assert!(kinds.iter().all(|kind| seen.insert((group, kind))), "{group} twice");
            assert!(!places.is_empty());
            // the configuration of a local cluster is no object of one
            let spec = if ["k3d.io", "kind.x-k8s.io"].contains(group) { "" } else { "spec." };
            for place in *places {
                assert!(place.starts_with(spec) && place.matches("**").count() <= 1, "{place}");
                let last = place.rsplit('.').next().expect("a key");
                assert!(
                    ["url", "package", "bundle"].contains(&last) || last.to_ascii_lowercase().contains("image"),
                    "{place}"
                );
            }
        }
    }

    #[test]
    fn places_by_group_and_kind() {
        assert_eq!(places(&["ceph.rook.io"], &["CephCluster"]), ["spec.cephVersion.image"]);
        let mut own = Kinds::none();
        own.add("example.org", "Widget", "{.spec.a[*].image}").expect("a path");
        own.add("", "Thing", "$['a.b']").expect("a path");
        assert_eq!(own.places(&["example.org/v1"], &["Widget"]), [["spec", "a[]", "image"]]);
        assert_eq!(own.places(&["v1"], &["Thing"]), [["a.b"]]);
        assert_eq!(own.last_keys().collect::<Vec<_>>(), ["image", "a.b"]);
        for path in ["", "{}", "image", ".a..b", ".a[0]", "[*]", ".a[*][*]", ".a['b", ".a b", ".**", ".*"] {
            assert!(json_path(path).is_err(), "{path}");
        }
        assert_eq!(json_path(".a\\.b.c[*]").as_deref(), Ok(&["a.b".to_owned(), "c[]".to_owned()][..]));
        let second_kind_wins = places(&["x", "ceph.rook.io"], &["Pod", "CephCluster"]);
        assert_eq!(second_kind_wins, ["spec.cephVersion.image"]);
        assert_eq!(places(&["example.org"], &["CephCluster"]).len(), 0);
        let keys: Vec<&str> = last_keys().collect();
        assert!(keys.contains(&"registry") && keys.contains(&"pkg.crossplane.io") && keys.contains(&"dockerImage"));
        for (group, _, places) in TABLE {
            for place in *places {
                assert!(
                    place.contains("image") || keys.iter().any(|key| place.contains(key) || group == key),
                    "{place}"
                );
            }
        }
    }
}
