from reconshield.errors import Refused as Refused
from reconshield.errors import UserError as UserError
from reconshield.jobs.comparison import compare_runs as compare_runs
from reconshield.jobs.evidence import load_evidence as load_evidence
from reconshield.jobs.grants import add_grant as add_grant
from reconshield.jobs.imports import Imported as Imported
from reconshield.jobs.imports import import_file as import_file
from reconshield.jobs.library import scan_targets as scan_targets
from reconshield.jobs.rejudge import rejudge_run as rejudge_run
from reconshield.jobs.results import load_result as load_result
from reconshield.jobs.scan import Finished as Finished
from reconshield.jobs.scan import Identified as Identified
from reconshield.jobs.scan import Measured as Measured
from reconshield.jobs.scan import Measuring as Measuring
from reconshield.jobs.scan import Prepared as Prepared
from reconshield.jobs.scan import Started as Started
from reconshield.jobs.scan import prepare_scan as prepare_scan
from reconshield.jobs.scan import run_scan as run_scan
from reconshield.jobs.scan_request import ScanRequest as ScanRequest
from reconshield.model import Endpoint as Endpoint
from reconshield.model import Finding as Finding
from reconshield.model import Observation as Observation
from reconshield.model import Service as Service
from reconshield.report.changes import Comparison as Comparison
from reconshield.report.lines import result_lines as result_lines
from reconshield.report.result import RunResult as RunResult
from reconshield.settings import Settings as Settings
from reconshield.settings import load_settings as load_settings
from reconshield.store.db import Store as Store
from reconshield.store.db import open_store as open_store

__version__: str
__all__: list[str]
from reconshield.jobs.check import check_run as check_run
from reconshield.jobs.exposures import load_exposures as load_exposures
from reconshield.jobs.policy import load_policy as load_policy
from reconshield.policy.policy import Policy as Policy
from reconshield.report.checked import Checked as Checked
