"""Whether the services run, start at boot, and answer."""

from collections.abc import Iterator

from .. import paths, release, services
from ..findings import Finding, judge
from ..options import Options


def check(options: Options) -> Iterator[Finding]:
    wanted = [services.HUB, services.DEMO] if options.demo else [services.HUB]
    for service in wanted:
        yield judge(
            services.runs(service),
            f"service {service.name} runs",
            release.restart(service),
            wrong=f"service {service.name} does not run",
        )
        yield judge(
            services.is_enabled(service),
            f"service {service.name} starts at boot",
            release.installer(),
            "warning",
            wrong=f"service {service.name} does not start at boot",
        )
    log = (
        "journalctl -u unixspawner -n 50"
        if services.systemd_runs()
        else f"tail -n 50 {paths.HUB_LOG}"
    )
    answers = services.answers(options.url, options.hub_account)
    wrong = f"the service does not answer at {options.url}"
    yield judge(answers, f"the service answers at {options.url}", log, wrong=wrong)
