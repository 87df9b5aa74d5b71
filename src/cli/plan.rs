//! `synod plan`.

use std::io::Write;
use std::path::Path;

use super::args::{PlanCommand, Template};
use super::exit::{Exit, Failure, Outcome};
use super::{out, plan_file};

pub(crate) fn run(command: &PlanCommand) -> Outcome {
    match command {
        PlanCommand::New { file, template } => new(file, *template)?,
        PlanCommand::Check { file, json } => {
            let plan = plan_file::read(file)?;
            if *json {
                out::json(&serde_json::json!({ "version": 1, "name": plan.name, "digest": plan.digest() }));
            } else {
                out::line(format!(
                    "{} is a good plan\nname    {}\ndigest  {}",
                    file.display(),
                    plan.name,
                    plan.digest()
                ));
            }
        }
        PlanCommand::Show { file, json } => {
            let plan = plan_file::read(file)?;
            if *json {
                out::json(&serde_json::json!({ "version": 1, "digest": plan.digest(), "plan": *plan }));
            } else {
                out::line(format!("# digest {}\n{}", plan.digest(), plan.to_toml()));
            }
        }
    }
    Ok(Exit::Done)
}

fn text(template: Template) -> &'static str {
    match template {
        Template::Digits => include_str!("../../plans/demo.toml"),
        Template::Idx => include_str!("../../plans/fashion-mnist.toml"),
        Template::Csv => include_str!("../../plans/heart-disease.toml"),
        Template::Npz => include_str!("../../plans/templates/npz.toml"),
    }
}

fn new(file: &Path, template: Template) -> Result<(), Failure> {
    let shown = file.display();
    let written = std::fs::File::create_new(file).and_then(|mut f| f.write_all(text(template).as_bytes()));
    written.map_err(|error| {
        let help = match error.kind() {
            std::io::ErrorKind::AlreadyExists => "choose another name; no plan is overwritten",
            _ => "choose a folder you may write to",
        };
        Failure::new(Exit::Usage, format!("cannot write {shown}: {error}"), Some(help))
    })?;
    out::line(format!("wrote {shown}; next: synod plan check {shown}, then synod simulate {shown}"));
    Ok(())
}
