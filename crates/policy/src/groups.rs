//! Rule groups, each compiled once and shared by all that refer to it.

use crate::PolicyFault;
use crate::fault::{PolicyFaultKind, RuleFault};
use crate::rules::{CompiledGroup, DEEPEST, Groups, Rules};
use narthex_model::{Group, GroupId, RuleSet};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Groups {
    /// Compiles all groups.
    ///
    /// # Errors
    /// [`PolicyFault`] when a group refers to itself, directly or through others, or to a group that does not
    /// exist, includes nothing, nests deeper than 16 groups, or holds more than 10,000 rules in all.
    pub fn compile(groups: &BTreeMap<GroupId, Arc<Group>>) -> Result<Self, PolicyFault> {
        let mut done = Self::default();
        for group in groups.values() {
            done.add(group, groups, &mut Vec::new())?;
        }
        Ok(done)
    }

    /// Compiles `group` after all that it refers to; `trail` leads from the first group to it.
    fn add<'g>(
        &mut self,
        group: &'g Arc<Group>,
        all: &'g BTreeMap<GroupId, Arc<Group>>,
        trail: &mut Vec<&'g Group>,
    ) -> Result<(), PolicyFault> {
        if self.by_id.contains_key(&group.id) {
            return Ok(());
        }
        trail.push(group);
        for (pointer, id) in references(&group.rules) {
            if trail.iter().any(|g| g.id == id) {
                return Err(circle(pointer, id, trail).in_group(group.id));
            }
            if trail.len() > DEEPEST {
                return Err(too_deep(pointer).in_group(group.id));
            }
            if let Some(next) = all.get(&id) {
                self.add(next, all, trail)?;
            }
        }
        trail.pop();
        let rules = Rules::compile(&group.rules, self).map_err(|f| f.in_group(group.id))?;
        if rules.depth() >= DEEPEST {
            return Err(too_deep(String::new()).in_group(group.id));
        }
        let compiled = Arc::new(CompiledGroup { source: Arc::clone(group), rules });
        Arc::make_mut(&mut self.by_id).insert(group.id, compiled);
        Ok(())
    }
}

/// Where `rules` refer to groups, and to which.
fn references(rules: &RuleSet) -> impl Iterator<Item = (String, GroupId)> {
    let lists =
        [("include", &rules.include), ("require", &rules.require), ("exclude", &rules.exclude)];
    lists.into_iter().flat_map(|(name, rules)| {
        rules.iter().enumerate().filter_map(move |(at, rule)| {
            Some((format!("/{name}/{at}/group/id"), rule.selector().group()?))
        })
    })
}

fn circle(pointer: String, back_to: GroupId, trail: &[&Group]) -> RuleFault {
    let names = trail.iter().skip_while(|g| g.id != back_to).map(|g| format!("{:?}", g.name));
    let mut names: Vec<String> = names.collect();
    names.extend(names.first().cloned());
    let message = format!(
        "groups refer to each other in a circle, {}; remove one of these references",
        names.join(" > ")
    );
    RuleFault { kind: PolicyFaultKind::Invalid, pointer, message }
}

fn too_deep(pointer: String) -> RuleFault {
    let message = format!("groups nest deeper than {DEEPEST}; refer to fewer groups in a row");
    RuleFault { kind: PolicyFaultKind::Invalid, pointer, message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn id(n: u128) -> GroupId {
        format!("00000000-0000-4000-8000-{n:012x}").parse().unwrap()
    }

    fn groups(bodies: Vec<Value>) -> BTreeMap<GroupId, Arc<Group>> {
        let made = bodies.into_iter().enumerate().map(|(n, mut body)| {
            let object = body.as_object_mut().unwrap();
            object.insert("id".into(), id(n as u128).to_string().into());
            object.insert("name".into(), format!("g{n}").into());
            object.insert("created_at".into(), "2026-01-01T00:00:00Z".into());
            object.insert("updated_at".into(), "2026-01-01T00:00:00Z".into());
            (id(n as u128), Arc::new(serde_json::from_value(body).unwrap()))
        });
        made.collect()
    }

    fn to(n: u128) -> Value {
        json!({"group": {"id": id(n).to_string()}})
    }

    #[test]
    fn what_is_wrong_is_pointed_at() {
        let everyone = json!({"everyone": {}});
        for (name, bodies, want) in [
            ("nothing", vec![], None),
            ("a chain", vec![json!({"include": [to(1)]}), json!({"include": [everyone]})], None),
            (
                "itself",
                vec![json!({"include": [everyone, to(0)]})],
                Some((0, "/include/1/group/id", PolicyFaultKind::Invalid)),
            ),
            (
                "two in a circle",
                vec![
                    json!({"include": [to(1)]}),
                    json!({"include": [everyone], "exclude": [to(0)]}),
                ],
                Some((1, "/exclude/0/group/id", PolicyFaultKind::Invalid)),
            ),
            (
                "a group that is not there",
                vec![json!({"include": [everyone], "require": [to(7)]})],
                Some((0, "/require/0/group/id", PolicyFaultKind::MissingGroup)),
            ),
            (
                "nothing included",
                vec![json!({"require": [everyone]})],
                Some((0, "/include", PolicyFaultKind::Invalid)),
            ),
        ] {
            let fault = Groups::compile(&groups(bodies)).err();
            let got = fault.as_ref().map(|f| (f.group, &*f.pointer, f.kind));
            assert_eq!(got, want.map(|(n, pointer, kind)| (Some(id(n)), pointer, kind)), "{name}");
        }
    }

    #[test]
    fn the_circle_is_named() {
        let bodies = vec![json!({"include": [to(1)]}), json!({"include": [to(0)]})];
        let fault = Groups::compile(&groups(bodies)).unwrap_err();
        assert!(fault.message.contains(r#""g0" > "g1" > "g0""#), "{fault}");
    }

    #[test]
    fn depth_and_number_of_rules_are_bounded() {
        let chain = |length: u128| {
            let links = (1..length).map(|n| json!({"include": [to(n)]}));
            groups(links.chain([json!({"include": [{"everyone": {}}]})]).collect())
        };
        assert!(Groups::compile(&chain(16)).is_ok());
        assert!(Groups::compile(&chain(17)).is_err());
        assert!(Groups::compile(&chain(5_000)).is_err());
        // Each group uses the next one ten times: 10^5 questions if nobody counted.
        let mut bodies: Vec<Value> = (1..6).map(|n| json!({"include": vec![to(n); 10]})).collect();
        bodies.push(json!({"include": [{"certificate": {}}]}));
        let fault = Groups::compile(&groups(bodies)).unwrap_err();
        assert!(fault.message.contains("10000 rules"), "{fault}");
    }
}
